"""Every key of a graph batch, with its shape and meaning.

B events, V nodes and E edges in all, F columns of node features, P pair features. All floats are float32, all indices
int64. Nodes stand event by event, within an event in the order of the specification's collections, hardest first.
"""

from typing import Final

X: Final = "x"
"""[V, F] node features in the order of `GraphSpecification.feature_names`, not normalised (the model does that)."""

MOMENTUM: Final = "momentum"
"""[V, 4] pt (GeV), eta, phi (rad, in [-π, π]), mass (GeV)."""

EDGE_INDEX: Final = "edge_index"
"""[2, E] source and target node of every edge; a message runs from the neighbour (row 0) to the node (row 1)."""

EDGE_ATTR: Final = "edge_attr"
"""[E, P] pair features of the edge in the order of `GraphSpecification.pair_features`, not normalised."""

BATCH: Final = "batch"
"""[V] the event of every node, in 0 … B-1, ascending."""

PTR: Final = "ptr"
"""[B + 1] offsets: the nodes of event b are ptr[b] … ptr[b + 1] - 1; empty events have equal offsets."""
