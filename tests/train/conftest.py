from importlib.util import find_spec

# Every test in this folder needs the training layer.
collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]
