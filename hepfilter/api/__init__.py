"""The verbs of the command line as Python calls, and what notebooks show of their results; `hepfilter` names them."""
