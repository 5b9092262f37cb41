"""What of the documentation is not written by hand, and the making of the site: `make docs`."""
