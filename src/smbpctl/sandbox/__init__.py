"""The operator's surroundings, made up: a fake operand whose pods answer as real members do."""

from smbpctl.sandbox.operand import Behaviour, FakeOperand

__all__ = ["Behaviour", "FakeOperand"]
