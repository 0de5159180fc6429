"""What can be asked of `laennec score`; nothing is imported that does work, as in `laennec.cli.arguments`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Score:
    """Score recordings by the million: one row each in a table, whatever is killed meanwhile.

    SOURCE is a folder, a prefix of an object store (s3://, gs://, az://), a table of paths or addresses
    (.csv, .tsv, .parquet), an archive of recordings (.tar), or a recording; folders and prefixes may hold
    archives. RESULTS is a folder or such a prefix. It gets recordings.parquet, events.parquet and score.json,
    which counts them.

    The source is listed once, in shards; each shard becomes a part file, and the same command does those that
    are missing. A recording that cannot be analysed has a row with the reason. Needs the extra "scale".

    Exit code 0: every recording has its row, or, with --list or --shard, this step is done.

    Example:  laennec score ward/ --out results

    Example:  laennec score s3://bucket/lungs --out s3://bucket/scores --engine ray

    Example:  laennec score lungs.parquet --out results --shard 3/100

    Attributes
    ----------
    source
        What to score.
    out
        Where results go, outside the source.
    model
        An .onnx model file, a run folder, or one that comes with Laennec.
    calibration
        A file of `laennec calibrate`, made with the same stethoscope and patients of the same kind.
    any_sound
        Analyse what does not sound like a lung all the same; such an answer is uncertain.
    jobs
        Processes, each with one thread; otherwise one for each core that there is. With ray, the most actors.
    engine
        Processes of this computer, or actors of the Ray cluster that RAY_ADDRESS names (extra "ray").
    shard_size
        Recordings in a shard, when the source is listed. An archive is a shard.
    list
        List the source, and score nothing yet.
    shard
        Do one of so many shares, 1/100 to 100/100: for jobs of SLURM and the like. The last one merges.
    merge
        Merge the parts, and score nothing more.
    """

    source: Annotated[Positional[str], arg(metavar="SOURCE")]
    out: Annotated[str, arg(metavar="RESULTS")]
    model: Annotated[str | None, arg(metavar="MODEL")] = None
    calibration: Annotated[Path | None, arg(metavar="FILE")] = None
    any_sound: bool = False
    jobs: Annotated[int | None, arg(metavar="N")] = None
    engine: Literal["local", "ray"] = "local"
    shard_size: Annotated[int, arg(metavar="N")] = 1000
    list: bool = False
    shard: Annotated[str | None, arg(metavar="I/N")] = None
    merge: bool = False
