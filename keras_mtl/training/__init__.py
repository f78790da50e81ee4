"""How a model is trained: labels, masks, losses, metrics, replicas. Private."""
