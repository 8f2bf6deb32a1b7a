"""Roles: the AWS, Kubernetes or Unix identity and the environment that a kernel gets."""
