"""MultiTaskModel: the functional model that knows its tasks."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

import keras

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.features.embedding import table_of
from keras_mtl.own_objects import as_config
from keras_mtl.serving.onnx_model import export_onnx
from keras_mtl.serving.saved_model import export_saved_model
from keras_mtl.serving.signatures import summary
from keras_mtl.task import Task, as_tasks
from keras_mtl.training import (
    configuration,
    file_formats,
    replicas,
    saved_files,
    saved_names,
    seeds,
)
from keras_mtl.training.callbacks import with_own
from keras_mtl.training.class_weights import ClassWeights
from keras_mtl.training.data import as_label_dict, prepare_arrays
from keras_mtl.training.dataset_labels import check_dataset_labels
from keras_mtl.training.epochs import run_loop
from keras_mtl.training.graph_inputs import inputs_within_limits
from keras_mtl.training.groups import group_tasks
from keras_mtl.training.heads import TrainingGraph
from keras_mtl.training.inputs import (
    check_encoded,
    prepare_inputs,
    row_count,
    table_fingerprints,
    unwrap,
)
from keras_mtl.training.label_check import LabelCheck
from keras_mtl.training.label_doubts import warn_of_masked
from keras_mtl.training.layer_losses import separate_losses
from keras_mtl.training.masked_batches import marked_batches
from keras_mtl.training.optimizer_hook import hook
from keras_mtl.training.outputs import bear_tasks, check_names, graph_arguments, tasks_of
from keras_mtl.training.quantization import check_quantizable, quiet_without_weights
from keras_mtl.training.routing_tracker import RoutingTracker, routing_tracker
from keras_mtl.training.same_start import SameStart
from keras_mtl.training.scope_names import check_scope_names
from keras_mtl.training.spaces import joint_predictions
from keras_mtl.training.step import is_stepping
from keras_mtl.training.step_loss import StepLoss
from keras_mtl.training.stepping_model import SteppingModel
from keras_mtl.training.task_metrics import TaskMetrics
from keras_mtl.training.tracker import LossTracker


@keras_mtl_export
class MultiTaskModel(SteppingModel):
    """A functional `keras.Model` with a dict of outputs by task name, that knows its labels.

    `loss = sum_t w_t L_t + regularisers`, with `L_t` the loss of task t over its labelled entries
    of the *global* batch (see `Task`). A missing label changes neither loss, metric nor gradient; 1
    and N replicas give the same step; logged losses and metrics are exact over the epoch. NaN in
    the inputs of a row without labels changes no loss or metric either, but it does become the
    gradient of the weights that read it, and `fit` warns of the NaN losses that follow.

    Args:
        inputs: `keras.Input`s, as for `keras.Model`.
        outputs: Dict of predictions by task name: probabilities (B, ..., units) of binary,
            multiclass and multilabel tasks, values of regression tasks. A final sigmoid or softmax
            of Keras' own layers and operations is found and left out where losses are computed,
            also within nested models; of any other head they read the probability, clipped.
        tasks: `Task`s, or names of binary tasks. A model that is reloaded or cloned finds them in
            its graph.
        **kwargs: Further arguments of `keras.Model`, such as `name`.

    Raises:
        ValueError: If tasks and outputs do not match by name and width, a name is taken by an
            input or a layer, or the model or a layer has a name that TensorFlow refuses.

    Example:

    >>> features = keras.Input((3,), name="features")
    >>> hidden = keras.layers.Dense(8, "relu")(features)
    >>> outputs = {
    ...     "click": keras.layers.Dense(1, "sigmoid")(hidden),
    ...     "price": keras.layers.Dense(1)(hidden),
    ... }
    >>> tasks = [Task("click"), Task("price", "regression")]
    >>> model = MultiTaskModel(inputs=features, outputs=outputs, tasks=tasks)
    >>> model.compile("adam")
    >>> x = np.ones((4, 3), "float32")
    >>> y = {"click": np.array([1, 0, -1, 1]), "price": np.array([2.0, np.nan, 1.0, 0.5])}
    >>> history = model.fit(x, y, epochs=1, verbose=0)
    >>> sorted(history.history)
    ['click_auc', 'click_loss', 'loss', 'price_loss', 'price_mae', 'price_mse']
    """

    def __init__(
        self, *args: Any, tasks: Iterable[Task | str] | None = None, **kwargs: Any
    ) -> None:
        inputs, outputs, kwargs = graph_arguments(args, kwargs)
        if tasks is not None:
            outputs = bear_tasks(as_tasks(tasks), outputs)
        bearing = tuple(tasks_of(outputs))
        check_names(outputs)
        super().__init__(inputs, outputs, **kwargs)
        check_scope_names(self)
        self.tasks = bearing
        self._has_auto_steps = False

    @property
    def features(self) -> Any | None:
        """The `TabularFeatures` table that the model is built on, or None."""
        return table_of(self)

    # --- configuration ---

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: Any = "auto",
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Configures training; losses and metrics come from the tasks unless given here.

        Args:
            optimizer: As in Keras; it sees one gradient per row of an embedding, also in a loop of
                one's own that calls `model.optimizer.apply`. An optimizer that was pickled alone
                does not, until a model is compiled with it. With `gradient_accumulation_steps`,
                batches weigh alike however many labels each has; where all have equally many, the
                step is that of one large batch.
            loss: None, a loss for all tasks, or a dict by task name that may leave tasks out.
            loss_weights: Factors of the tasks' losses by task name; `Task.weight` where left out.
            metrics: A metric or list for all tasks, or a dict of them by task name. Each task gets
                its own copy.
            weighted_metrics: The same: every metric sees mask and sample weights.
            run_eagerly: As in Keras.
            steps_per_execution: Batches a compiled call runs, at most: never a step more than an
                epoch has. `"auto"` is 16 on one replica and 1 on several, and 1 in calls with
                callbacks that look at batches; with a number they see the last batch of each call.
            jit_compile: As in Keras; `"auto"` is off where there is only a CPU. True pays there for
                long training: MMoE took 1.3 times the rows a second, and started 1.2 s later.
            auto_scale_loss: As in Keras.

        Raises:
            ValueError: If a dict names an unknown task, an argument does not work on several
                replicas, or `keras.config.floatx()` is not float32.
        """
        configuration.check_floatx()
        self._tracker.unlock()  # `quantize` locks it, and there are metrics to add
        # In the order of names, so that permuting the tasks changes not even a rounding.
        tasks = sorted(self.tasks, key=lambda task: task.name)
        with replicas.scope_of(self):
            steps = configuration.steps_per_execution(steps_per_execution, run_eagerly)
            configuration.check_distribution(optimizer, steps, jit_compile)
            losses = configuration.losses_by_task(tasks, loss)
            own_metrics = configuration.metrics_by_task(tasks, metrics, weighted_metrics)
            weights = configuration.weights_by_task(tasks, loss_weights)
            super().compile(
                optimizer=optimizer,
                run_eagerly=run_eagerly,
                steps_per_execution=steps,
                jit_compile=jit_compile,
                auto_scale_loss=auto_scale_loss,
            )
            hook(self.optimizer)
            self._training_graph = TrainingGraph(self.input, self.output)
            groups = group_tasks(tasks, self._training_graph.heads, losses, own_metrics)
            self._loss_tracker = LossTracker([task.name for task in tasks], weights)
            self._task_metrics = TaskMetrics(groups, own_metrics)
            self._routing_tracker = routing_tracker(self)
            self._class_weights = ClassWeights()
            self._step_loss = StepLoss(
                tasks,
                groups,
                weights,
                self._class_weights,
                self._loss_tracker,
                self._routing_tracker,
            )
            separate_losses(self)
        self._has_auto_steps = steps_per_execution == "auto"
        # In a plain dict, Keras would take the user's metric objects for the model's own.
        self._compile_arguments = MappingProxyType(
            {
                "loss": loss,
                "loss_weights": loss_weights,
                "metrics": metrics,
                "weighted_metrics": weighted_metrics,
                "run_eagerly": run_eagerly,
                "steps_per_execution": steps_per_execution,
                "jit_compile": jit_compile,
                "auto_scale_loss": auto_scale_loss,
            }
        )

    def get_compile_config(self) -> dict[str, Any]:
        """What `compile` was called with; refuses what a saved model would not bring back."""
        configuration.check_saveable(self)
        if not self.compiled:
            return {}
        arguments = keras.tree.map_structure(as_config, {**self._compile_arguments})
        return keras.saving.serialize_keras_object({**arguments, "optimizer": self.optimizer})

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as a saved model was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Saves to a `.keras` file, with the arguments of `keras.Model.save`.

        The model is written into a folder `.keras_mtl-*` beside the file, flushed to disk and
        renamed: whatever cuts it off, the file before stays whole until then. Of a symbolic link
        the file that it leads to is replaced. `keras.saving.save_model` writes over the file in
        place, and so does Keras at remote paths and where the folder takes no new file.

        Raises:
            ValueError: For a legacy HDF5 file, which could not be loaded, and for what would not
                come back as it is: a lambda or another function without a name, or an object whose
                `get_config` leaves out arguments of its constructor.
        """
        file_formats.check_format(filepath)
        configuration.check_saveable(self)  # Keras opens the file before it asks for the config
        saved_files.save_model(self, super().save, filepath, overwrite, zipped, **kwargs)

    def save_weights(
        self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None
    ) -> None:
        """Saves weights, with the arguments of `keras.Model.save_weights`, aside as `save` does.

        Sharded weights change in one step, too: shards that replace others take other numbers, and
        an index names them.
        """
        saved_files.save_weights(self, super().save_weights, filepath, overwrite, max_shard_size)

    def get_config(self) -> dict[str, Any]:
        """The config of a functional model; its last layers hold the tasks."""
        file_formats.check_config_format()
        return super().get_config()

    def save_own_variables(self, store: Any) -> None:
        """Weights, whose they are, and the states of random draws: a resumed training needs all."""
        super().save_own_variables(store)
        saved_names.keep(self, store)
        seeds.keep(self, store)

    def load_own_variables(self, store: Any) -> None:
        """What `save_own_variables` kept; also from a file without names or random draws."""
        super().load_own_variables(seeds.restore(self, saved_names.check(self, store)))

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Loads weights of the same tasks and table, as `keras.Model.load_weights`.

        Raises:
            ValueError: If the file says that its weights are those of other tasks, or of another
                table (with `skip_mismatch`, that table's embeddings are skipped).
        """
        saved_names.check_file(self, filepath, skip_mismatch)
        super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)

    # --- the step ---

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Predictions by task name; within a step, the logits that losses and metrics read."""
        check_encoded(self.input, inputs)
        inputs = inputs_within_limits(self.input, unwrap(self.input, inputs))
        if is_stepping(self):
            return self._training_graph(inputs, training, mask)
        return super().call(inputs, training=training, mask=mask)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """This replica's part of the step's loss; the parts of all replicas add up to it.

        In a `train_step` or a loop of one's own, `y_pred` are predictions, as `model(x)` gives
        them. Losses and metrics leave out missing labels there, too. Cross-entropies read them
        clipped, as Keras does: the loss of a confidently wrong row is bounded, and beyond the clip
        it has no gradient.
        """
        y = as_label_dict(self.tasks, y)
        return self._step_loss(y, y_pred, sample_weight, self.losses, is_stepping(self))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Updates the tasks' metrics; returns all logs."""
        metrics = self._task_metrics
        update = metrics.accumulate if is_stepping(self) else metrics.update_state
        update(as_label_dict(self.tasks, y), y_pred, sample_weight)
        return self.get_metrics_result()

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss tracker, the tasks' metrics, and those of layers."""
        # Keras still lists those of an earlier `compile`.
        ours = LossTracker | TaskMetrics | RoutingTracker
        inherited = [metric for metric in super().metrics if not isinstance(metric, ours)]
        return [*self._own_metrics(), *inherited]

    def _own_metrics(self) -> list[Any]:
        if not self.compiled:
            return []
        own = [self._loss_tracker, self._task_metrics, self._routing_tracker]
        return [metric for metric in own if metric is not None]

    @property
    def metrics_names(self) -> list[str]:
        """Names of the figures of `evaluate`, in its order."""
        # No result is computed for them: Keras reads this when it saves, and a worker that saves
        # alone would wait for the others' part of the sums.
        if not self.compiled:
            return []
        own = self._own_metrics()
        first = ["loss", *(metric.name for metric in self.metrics if metric not in own)]
        names = {name for metric in own for name in metric.result_names()}
        return [*first, *sorted(names - {*first})]

    # --- data ---

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains, with the arguments of `keras.Model.fit`.

        Labels are a dict by task name (a plain array for one task). `class_weight` is a dict of
        class weights by task name, which hold for `loss` and `val_loss` of this call in place of
        the tasks' own; `sample_weight` may be given for some tasks only.

        Of more than 8 tasks the progress bar shows `loss` and the mean of each metric over the
        tasks; the history holds all figures. With validation data it also holds `val_mean`, the
        mean of the tasks' main metrics, errors negated.

        Raises:
            ValueError: If labels are missing for a task, have a wrong shape or are outside what the
                task allows.
        """
        self._assert_compile_called("fit")
        x, y, sample_weight = self._prepare_some(x, y, sample_weight)
        if isinstance(validation_data, list | tuple):
            validation_data = self._prepare_some(
                *keras.utils.unpack_x_y_sample_weight(validation_data)
            )
        check_dataset_labels(self.tasks, validation_data)
        validation_data = self._marked_batches(validation_data)
        by_task = configuration.class_weights_by_task(self.tasks, class_weight)
        with self._class_weights.of_fit(self, by_task):
            return run_loop(
                "fit",
                self,
                self._has_auto_steps,
                x=x,
                y=y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=with_own(callbacks, self.tasks, verbose, SameStart(), LabelCheck()),
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle,
                sample_weight=sample_weight,
                **kwargs,
            )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Evaluates, with the arguments of `keras.Model.evaluate`; labels as for `fit`."""
        self._assert_compile_called("evaluate")
        if not kwargs.get("_use_cached_eval_dataset"):
            x, y, sample_weight = self._prepare_some(x, y, sample_weight)
            callbacks = with_own(callbacks, self.tasks, verbose, LabelCheck())
        return run_loop(
            "evaluate",
            self,
            self._has_auto_steps,
            x=x,
            y=y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=callbacks,
            return_dict=return_dict,
            **kwargs,
        )

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        samples: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports for serving, with the arguments of `keras.Model.export`.

        A SavedModel has the signatures `serving_default` (raw columns by name where the model has a
        table, its own inputs otherwise), one by each task's name that computes that task alone,
        `packed` (its own inputs), and `examples` (serialized `tf.train.Example`s, whose features
        are the inputs of `serving_default`). An ONNX file takes the model's own inputs by name and
        gives predictions by task name. Both are written aside, flushed to disk and renamed into
        place; what killed exports and saves left beside them is removed.

        Args:
            filepath: What does not exist yet: a folder, of ONNX a file.
            format: As in Keras.
            verbose: As in Keras.
            samples: Rows that a server is to answer as soon as it has loaded a SavedModel, before
                traffic comes: raw columns where the model has a table, its own inputs otherwise.
            **kwargs: As in Keras.

        Raises:
            ValueError: If `filepath` exists, `samples` are not what the model takes, or the model
                is none that ONNX can hold.
            ImportError: If tensorflow-serving-api (for `samples`) or tf2onnx is not installed.
        """
        ours = keras.backend.backend() == "tensorflow" and kwargs.keys() <= {"opset_version"}
        if format == "tf_saved_model" and not kwargs:
            said = f": {summary(export_saved_model(self, filepath, samples))}"
        elif samples is not None:
            raise ValueError(
                'Argument `samples` needs `format="tf_saved_model"` without further arguments. '
                f"Received: format={format!r}, {sorted(kwargs)}"
            )
        elif format == "onnx" and ours:
            export_onnx(self, filepath, **kwargs)
            said = ""
        else:
            super().export(filepath, format=format, verbose=verbose, **kwargs)
            return
        if verbose or verbose is None:
            print(f"Exported to {filepath}{said}")

    def quantize(self, mode: Any = None, *args: Any, **kwargs: Any) -> None:
        """Quantizes the weights, with the arguments of `keras.Model.quantize`.

        It works for a graph of Keras' own layers, before `compile` and after. Layers of this
        package have no form in low precision.

        Raises:
            ValueError: If layers of this package hold weights, as in all models of the zoo.
        """
        check_quantizable(self, mode)
        with quiet_without_weights(self):
            super().quantize(mode, *args, **kwargs)
        if self.compiled:  # it holds on to the layers as they were
            self._training_graph = TrainingGraph(self.input, self.output)
            self._class_weights.forget_steps()

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Predictions by task name, with the arguments of `keras.Model.predict`.

        A task that is trained on all rows also has its product with what it is given, `NAME_joint`.
        """
        x = self._marked_batches(prepare_inputs(self.input, x, self.features))
        if row_count(x) == 0:  # Keras has no answer to it
            return self.predict_on_batch(x)
        predictions = run_loop(
            "predict",
            self,
            self._has_auto_steps,
            x=x,
            batch_size=batch_size,
            verbose=verbose,
            steps=steps,
            callbacks=callbacks,
        )
        return joint_predictions(self.tasks, predictions)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch, as `keras.Model.train_on_batch`; labels as for `fit`.

        Class weights are those of the tasks: they are constants of the compiled step, which a
        change at every batch would compile anew.

        Raises:
            ValueError: As `fit`, and if `class_weight` is given.
        """
        if class_weight is not None:
            raise ValueError(
                "Argument `class_weight` must be None; give `Task(class_weight=...)` instead. "
                f"Received: class_weight={class_weight!r}"
            )
        prepared = self._prepare(x, y, sample_weight)
        return super().train_on_batch(*prepared, return_dict=return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Evaluates one batch, as `keras.Model.test_on_batch`; labels as for `fit`."""
        return super().test_on_batch(*self._prepare(x, y, sample_weight), return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Predictions of one batch, as of `predict`."""
        x = prepare_inputs(self.input, x, self.features)
        return joint_predictions(self.tasks, super().predict_on_batch(x))

    def check_labels(self) -> None:
        """Raises `ValueError` if labels since the last reset were not what their tasks allow.

        Warns of tasks whose loss is NaN or infinite.
        """
        if keras.backend.backend() == "jax":
            self.jax_state_sync()
        self._loss_tracker.check_labels()
        self._loss_tracker.check_losses()

    def _prepare(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[Any, Any, Any]:
        """What is held in arrays, checked; datasets, which bring their own labels, stay."""
        x = self._marked_batches(prepare_inputs(self.input, x, self.features))
        check_dataset_labels(self.tasks, x)
        if y is not None or row_count(x) is not None:
            shapes = {name: output.shape for name, output in self.output.items()}
            y, sample_weight = prepare_arrays(self.tasks, shapes, x, y, sample_weight)
        return x, y, sample_weight

    def _marked_batches(self, data: Any) -> Any:
        return marked_batches(self.tasks, data, table_fingerprints(self.input))

    def _prepare_some(self, x: Any, *labels: Any) -> tuple[Any, Any, Any]:
        """As `_prepare`, and at least one row: Keras has no answer to none."""
        warn_of_masked(self.tasks, *labels[:1])
        x, *prepared = self._prepare(x, *labels)
        if row_count(x) == 0:
            raise ValueError("Argument `x` must hold at least one row. Received: 0 rows")
        return x, *prepared
