"""The canonical event record and the schemas that map files onto it."""
