"""The kinds that users write: models, defaults, rules and schema, without any I/O."""
