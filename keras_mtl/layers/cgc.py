"""Customized gate control and progressive layered extraction."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import check_flag, check_integer, check_positive, listed
from keras_mtl.layers.gated_experts import GatedExperts, Shape
from keras_mtl.layers.initialization import derive_seed, reseed
from keras_mtl.layers.own_experts import mix_apart
from keras_mtl.layers.slots import Slots, read_slots

FEW_GATES = 16
"""Up to so many, one product in which other tasks' experts have weight 0 takes the least time."""


@keras_mtl_export
class CGC(GatedExperts):
    """Customized gate control: each task mixes its own experts with the shared ones.

    `g_t(x) = softmax(W_t x) S_t(x)` for every task `t`, where `S_t` stacks the experts of task `t`
    and the shared ones; the experts of other tasks have weight 0. With `shared_output` one more
    gate mixes *all* experts, `g_s(x) = softmax(W_s x) S(x)`, for a further level.

    The experts stand in the order task 0, task 1, ..., shared. With `task_inputs` the experts and
    the gate of task `t` read slot `t` of the input, the shared experts and gate the last slot.

    Args:
        num_tasks: number of tasks T.
        shared_experts: number of experts that all tasks share; may be 0.
        task_experts: number of experts of each task, one number or one a task; may be 0.
        expert_units: width U of the experts, or the widths of their layers, the last one being U.
        gate_units: widths of hidden layers of each gate; empty for the paper's linear gate.
        task_inputs: whether the input has a slot for each task and a shared one.
        shared_output: whether the output has a shared slot.
        **options: `expert`, `activation`, `normalization`, `dropout`, `kernel_initializer`,
            `bias_initializer`, `kernel_regularizer`, `gate_temperature` and `seed`, described in
            `GatedExperts`; and the arguments of `keras.layers.Layer`.

    Input shape:
        `(..., D)`, or `(..., T+1, D)` with `task_inputs`, the shared slot last.

    Output shape:
        `(..., T, U)`, or `(..., T+1, U)` with `shared_output`, the shared slot last.

    Raises:
        ValueError: if a size is not valid or a task has no expert to see.

    Example:
        >>> import keras
        >>> layer = CGC(num_tasks=2, shared_experts=1, task_experts=(2, 3), expert_units=8)
        >>> tuple(layer(keras.ops.ones((5, 4))).shape)
        (5, 2, 8)

    Reference:
        Tang et al., Progressive Layered Extraction (PLE), RecSys 2020, section 4.1, equations 1 to
        3. The towers are left to the model. Different numbers of experts a task, hidden layers and
        temperature of the gates, normalisation and dropout are not in the paper.
    """

    def __init__(
        self,
        num_tasks: int,
        shared_experts: int,
        task_experts: int | Sequence[int],
        expert_units: int | Sequence[int] | None = None,
        gate_units: int | Sequence[int] = (),
        task_inputs: bool = False,
        shared_output: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(num_tasks, expert_units, gate_units, **options)
        self.shared_experts = check_integer("shared_experts", shared_experts, minimum=0)
        self.task_experts = check_task_experts(task_experts, self.num_tasks, self.shared_experts)
        self.task_inputs = check_flag("task_inputs", task_inputs)
        self.shared_output = check_flag("shared_output", shared_output)
        slots = expert_slots(self.task_experts, self.shared_experts)
        self.experts = self._make_experts(len(slots), slots if self.task_inputs else None)
        self._sees = self._visible(slots)
        self.gate = self._make_gate(
            len(slots),
            self.num_tasks + self.shared_output,
            gate_inputs=self.task_inputs,
            visible=self._sees,
        )

    def _visible(self, slots: Sequence[int]) -> list[list[int]]:
        """For each gate the experts it sees: a task's own and the shared ones, or all."""
        shared = self.num_tasks
        visible = [
            [expert for expert, slot in enumerate(slots) if slot in (task, shared)]
            for task in range(self.num_tasks)
        ]
        return [*visible, list(range(len(slots)))] if self.shared_output else visible

    def build(self, input_shape: Shape) -> None:
        """Builds the experts and the gates."""
        slots = self.num_tasks + 1
        if self.task_inputs and (len(input_shape) < 3 or input_shape[-2] != slots):
            raise ValueError(
                f"With `task_inputs` the input must have the shape (..., {slots}, D), a slot for "
                f"each task and a shared one. Received: input shape {tuple(input_shape)}."
            )
        self.experts.build(input_shape)
        self.gate.build(self._gate_shape(input_shape))

    def _gate_shape(self, input_shape: Shape) -> Shape:
        if not self.task_inputs:
            return input_shape
        return (*input_shape[:-2], self.gate.num_gates, input_shape[-1])

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None, slots: Slots = None
    ) -> Any:
        """Returns each task's mixture of experts, and the shared one with `shared_output`.

        With `slots` those mixtures alone, of no more experts than their gates see, as a `SlotLayer`
        does.
        """
        held = self.source_slots(slots)
        seen = None if slots is None else self._seen(slots)
        x = read_slots(inputs, held, self.experts.source_slots(seen))
        experts = self.experts(x, training=training, mask=mask, slots=seen)  # (..., E, U)
        gated = tuple(range(self.gate.num_gates)) if slots is None else slots
        x = read_slots(inputs, held, self.gate.source_slots(gated))
        if slots is None and self.gate.num_gates > FEW_GATES:
            weights = self.gate.weights_by_group(x)
            return mix_apart(weights, experts, sum(self.task_experts))  # (..., T, U), (..., T+1, U)
        gates = self.gate(x, slots=slots, experts=seen)  # (..., T, E) or (..., T+1, E)
        return self._mix(gates, experts)  # (..., T, U) or (..., T+1, U)

    def source_slots(self, slots: Slots) -> Slots:
        """Returns what the gates read and the experts that they see, or `None` for one input."""
        if slots is None or not self.task_inputs:
            return None
        owners = expert_slots(self.task_experts, self.shared_experts)
        return tuple(sorted({*slots, *(owners[expert] for expert in self._seen(slots))}))

    def _seen(self, slots: tuple[int, ...]) -> tuple[int, ...]:
        """The experts that at least one of the gates `slots` sees."""
        return tuple(sorted({expert for slot in slots for expert in self._sees[slot]}))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (..., T, U), or (..., T+1, U) with the shared slot."""
        *rows, _, units = self.experts.compute_output_shape(input_shape)
        return (*rows, self.gate.num_gates, units)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "shared_experts": self.shared_experts,
            "task_experts": self.task_experts,
            "task_inputs": self.task_inputs,
            "shared_output": self.shared_output,
        }


def check_task_experts(task_experts: Any, num_tasks: int, shared_experts: int) -> tuple[int, ...]:
    """Returns the number of experts of each task; raises `ValueError` where a task sees none."""
    single = isinstance(task_experts, Integral)
    counts = (task_experts,) * num_tasks if single else tuple(listed(task_experts))
    if len(counts) != num_tasks:
        raise ValueError(
            "Argument `task_experts` must be one number or one a task. "
            f"Received: task_experts={task_experts!r}, num_tasks={num_tasks}."
        )
    counts = tuple(check_integer("task_experts", count, minimum=0) for count in counts)
    if not shared_experts and not all(counts):
        raise ValueError(
            "Arguments `shared_experts` and `task_experts` must give each task an expert to see. "
            f"Received: shared_experts={shared_experts}, task_experts={task_experts!r}."
        )
    return counts


def expert_slots(task_experts: Sequence[int], shared_experts: int) -> list[int]:
    """The slot of each expert: its task, or the number of tasks for a shared one."""
    counts = (*task_experts, shared_experts)
    return [slot for slot, count in enumerate(counts) for _ in range(count)]


@keras_mtl_export
class PLE(GatedExperts):
    """Progressive layered extraction: levels of CGC, each reading what the one below extracted.

    `g_{t,j}(x) = softmax(W_{t,j} g_{t,j-1}(x)) S_{t,j}(x)` for task `t` at level `j`, with
    `g_{t,0}(x) = x`. The experts of task `t` at level `j` read `g_{t,j-1}`, the shared ones
    `g_{s,j-1}`, the mixture of *all* experts of the level below by its shared gate. The last level
    has no shared gate.

    Its shared point is the experts of the last level: everything the tasks share lies before them.

    Args:
        num_tasks: number of tasks T.
        levels: number of levels.
        shared_experts: number of experts a level that all tasks share; 0 is possible with one
            level.
        task_experts: number of experts a level of each task, one number or one a task; may be 0.
        expert_units: width U of the experts, or the widths of their layers, the last one being U.
        gate_units: widths of hidden layers of each gate; empty for the paper's linear gate.
        **options: `expert`, `activation`, `normalization`, `dropout`, `kernel_initializer`,
            `bias_initializer`, `kernel_regularizer`, `gate_temperature` and `seed`, described in
            `GatedExperts`; and the arguments of `keras.layers.Layer`.

    Input shape:
        `(..., D)`.

    Output shape:
        `(..., T, U)`.

    Raises:
        ValueError: if a size is not valid or a task has no expert to see.

    Example:
        >>> import keras
        >>> layer = PLE(num_tasks=2, levels=2, shared_experts=1, task_experts=2, expert_units=8)
        >>> tuple(layer(keras.ops.ones((5, 4))).shape)
        (5, 2, 8)

    Reference:
        Tang et al., Progressive Layered Extraction (PLE), RecSys 2020, section 4.2, equations 4 and
        5. The towers are left to the model. Different numbers of experts a task, hidden layers and
        temperature of the gates, normalisation and dropout are not in the paper.
    """

    def __init__(
        self,
        num_tasks: int,
        levels: int,
        shared_experts: int,
        task_experts: int | Sequence[int],
        expert_units: int | Sequence[int] | None = None,
        gate_units: int | Sequence[int] = (),
        **options: Any,
    ) -> None:
        super().__init__(num_tasks, expert_units, gate_units, **options)
        self.levels = check_positive("levels", levels)
        # Without shared experts nothing would read the shared gates of the lower levels.
        least = 1 if self.levels > 1 else 0
        self.shared_experts = check_integer("shared_experts", shared_experts, minimum=least)
        self.task_experts = check_task_experts(task_experts, self.num_tasks, self.shared_experts)
        self.stages = [self._make_level(level) for level in range(self.levels)]

    def _make_level(self, level: int) -> CGC:
        name = f"level_{level}"
        options = self._expert_options()
        return CGC(
            self.num_tasks,
            self.shared_experts,
            self.task_experts,
            self.expert_units,
            self.gate_units,
            task_inputs=level > 0,
            shared_output=level < self.levels - 1,
            gate_temperature=self.gate_temperature,
            seed=derive_seed(self._root_seed, name),
            dtype=self.dtype_policy,
            name=name,
            **options | {"expert": reseed(self._expert, self._root_seed, name)},
        )

    @property
    def experts(self) -> Any:
        """The experts of the last level."""
        return self.stages[-1].experts

    def build(self, input_shape: Shape) -> None:
        """Builds the levels."""
        shape = input_shape
        for stage in self.stages:
            stage.build(shape)
            shape = stage.compute_output_shape(shape)

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None, slots: Slots = None
    ) -> Any:
        """Returns each task's mixture of the last level's experts.

        With `slots` those of some tasks alone, as a `SlotLayer` does: where a level hands a shared
        mixture on, all experts below are needed, but only the gates of these tasks.
        """
        wanted = [slots]
        for stage in self.stages[:0:-1]:
            wanted.insert(0, stage.source_slots(wanted[0]))
        x = inputs
        for stage, some in zip(self.stages, wanted, strict=True):
            x = stage(x, training=training, mask=mask, slots=some)  # (..., T+1, U), at last T
        return x

    def source_slots(self, slots: Slots) -> Slots:
        """Returns `None`: the tasks share the input."""
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (..., T, U)."""
        for stage in self.stages:
            input_shape = stage.compute_output_shape(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "levels": self.levels,
            "shared_experts": self.shared_experts,
            "task_experts": self.task_experts,
        }
