"""The house's rules as functions from parsed modules to violations.

Each rule takes modules and gives a list of sentences "path:line: what is wrong, what to do". The
test applies them to the real tree, and to small synthetic modules that each must be found out.
"""
