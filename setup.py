"""Puts the workflow and evaluations of the checkout into the package that is built; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
# As did.project.shipped takes them.
SHIPPED = ("Snakefile", "config", "data/reference", "profiles/local", "profiles/slurm", "profiles/kubernetes")


class WithShipped(build_py):
    """Builds the modules, and copies what is shipped beside them."""

    def run(self):
        super().run()
        if self.editable_mode:   # the package is in its checkout and takes them from there
            return
        target = Path(self.build_lib) / "did" / "shipped"
        shutil.rmtree(target, ignore_errors=True)
        for part in SHIPPED:
            source, place = ROOT / part, target / part
            place.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, place)


setup(cmdclass={"build_py": WithShipped})
