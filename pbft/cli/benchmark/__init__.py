"""What `pbft bench` is made of: the load, the machine's own speed, and the conditions."""
