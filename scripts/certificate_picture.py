"""The picture of the README: the certificate of a data set as `tessera verify` prints it, as SVG.

    python -m scripts.certificate_picture --dataset 1 --rpc URL --store DIR --key FILE --out certificate.svg
"""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

import tessera
from provenance.verify.certificate import Certificate
from tessera.cli.verify import print_certificate

WIDTH = 118
# A picture asks no server for fonts: the families that stand in the text fall back to the reader's own.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def picture(certificate: Certificate) -> str:
    """SVG text."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    print_certificate(certificate, console)
    return console.export_svg(title="tessera verify", code_format=FORMAT, unique_id="certificate")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the certificate of a data set as a picture.")
    for name in ("--dataset", "--rpc", "--store", "--key", "--out"):
        parser.add_argument(name, required=True)
    asked = parser.parse_args()
    certificate = tessera.verify(asked.dataset, rpc=asked.rpc, store=asked.store, key=asked.key)
    Path(asked.out).write_text(picture(certificate), encoding="utf-8")


if __name__ == "__main__":
    main()
