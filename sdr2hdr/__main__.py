"""`python -m sdr2hdr` is the command `sdr2hdr`."""

from sdr2hdr.cli import main

if __name__ == "__main__":
    main()
