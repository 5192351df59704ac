"""The process in a fake operand's container: what `python -m smbpctl.sandbox.member` runs."""
