"""Files on other machines: how long they may take, how each protocol is spoken, what their replicas are for."""
