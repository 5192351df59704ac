"""What developers run: generators and the builders of test clusters. Not part of the package."""
