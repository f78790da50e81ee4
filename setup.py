"""Packaging: all of it stands in setup.cfg."""

from setuptools import setup

setup()
