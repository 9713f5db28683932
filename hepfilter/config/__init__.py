"""Models of every YAML file, validated on reading."""
