"""`python -m smbpctl`: the same as the `smbpctl` command."""

from smbpctl.cli import main

if __name__ == "__main__":
    main()
