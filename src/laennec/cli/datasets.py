"""``laennec datasets``: list, check, audit, describe and download data sets."""

from laennec import datasets
from laennec.cli.arguments import Audit, Croissant, Datasets, Download, Info


def run(command: Datasets) -> int:
    match command.action:
        case Info(name, folder, strict):
            return datasets.print_info(name, folder, strict)
        case Audit(name, folder, predictions, out, shown):
            return datasets.print_audit(name, folder, predictions, out, shown)
        case Croissant(name, folder, out):
            datasets.print_croissant(name, folder, out)
        case Download(name, to):
            print(f"{name} is in {datasets.download(name, to)}")
        case _:
            datasets.list_datasets()
    return 0
