"""Cycles from airflow, against flows whose zero crossings are known."""

import itertools

import numpy as np
import pytest

from laennec.datasets.airflow import cycles_from_airflow
from laennec.errors import LaennecError

RATE_HZ = 100


def breathing(onsets_s, share=0.4, noise=0.0, offset=0.0, seed=0):
    """Half sines in and out, the same volume each way, between the onsets."""
    times_s = np.arange(round(onsets_s[-1] * RATE_HZ)) / RATE_HZ
    flow = np.zeros(times_s.size)
    for start, end in itertools.pairwise(onsets_s):
        middle = start + share * (end - start)
        inside, outside = (times_s >= start) & (times_s < middle), (times_s >= middle) & (times_s < end)
        flow[inside] = np.sin(np.pi * (times_s[inside] - start) / (middle - start))
        flow[outside] = -share / (1 - share) * np.sin(np.pi * (times_s[outside] - middle) / (end - middle))
    return flow + noise * np.random.default_rng(seed).standard_normal(flow.size) + offset


@pytest.mark.parametrize(("noise", "offset"), [(0.0, 0.0), (0.03, 0.0), (0.03, 0.5)])
def test_whole_cycles_are_found_with_the_end_of_inspiration(noise, offset):
    onsets = [0.0, 3.1, 6.9, 10.2, 14.0, 17.3]
    found = cycles_from_airflow(breathing(onsets, noise=noise, offset=offset), RATE_HZ)
    # The first cycle begins with the signal, so nothing tells whether it is whole; the last one ends with it.
    wanted = list(itertools.pairwise(onsets[1:]))[:-1]
    assert len(found) == len(wanted)
    for cycle, (start, end) in zip(found, wanted, strict=True):
        assert cycle.start_s == pytest.approx(start, abs=0.08)
        assert cycle.end_s == pytest.approx(end, abs=0.08)
        assert cycle.inspiration_end_s == pytest.approx(start + 0.4 * (end - start), abs=0.08)


def test_trembling_around_zero_is_no_breath():
    onsets = [0.0, 4.0, 8.0, 12.0, 16.0]
    flow = breathing(onsets)
    still = np.concatenate([flow[:800], np.zeros(300), flow[800:]])  # a pause after expiration
    still += 0.05 * np.random.default_rng(1).standard_normal(still.size)
    found = cycles_from_airflow(still, RATE_HZ)
    assert len(found) == 2
    assert found[0].start_s == pytest.approx(4.0, abs=0.1)
    with_more = cycles_from_airflow(still, RATE_HZ, hysteresis=0.001, shortest_phase_s=0.0)
    assert len(with_more) > 5  # what the hysteresis is there for


@pytest.mark.parametrize(
    ("flow", "message"),
    [([], "line of numbers"), ([0.0] * 50, "does not move"), ([np.nan] * 50, "line of numbers")],
)
def test_what_is_no_flow_is_refused(flow, message):
    with pytest.raises(LaennecError, match=message):
        cycles_from_airflow(flow, RATE_HZ)


def test_hysteresis_out_of_range():
    with pytest.raises(LaennecError, match="hysteresis"):
        cycles_from_airflow(np.sin(np.arange(1000) / 50), RATE_HZ, hysteresis=2.0)
