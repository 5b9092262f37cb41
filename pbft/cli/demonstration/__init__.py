"""What `pbft demo` is made of: load it drives, what it watches, how it shows it, its verdict."""
