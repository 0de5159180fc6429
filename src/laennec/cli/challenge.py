"""``laennec challenge``: the BioCAS 2022 and 2023 challenge."""

from laennec.cli.tool_arguments import Challenge
from laennec.output.challenge import answer_folder


def run(command: Challenge) -> int:
    answer_folder(command.task, command.wav, command.out, command.model)
    return 0
