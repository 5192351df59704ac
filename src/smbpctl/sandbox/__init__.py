"""The operator's surroundings, made up: a fake operand, the Secrets a person brings, a world.

Nothing is exported here. Every name is imported from its own module, so that the process of a
fake member, which this package comes before, starts without loading the operator.
"""
