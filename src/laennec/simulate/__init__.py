"""A lung-sound simulator with exact ground truth, for demonstrations and tests.

A recording is the sum of breath noise, adventitious sounds, heart sounds and hospital noise at the chest
wall, passed through a device's frequency response, scaled to that device's usual level and laid over its
noise floor. Amplitudes at the chest wall are in units of the RMS of a breath's inspiration. What the
simulator put where is returned with the samples. No accuracy claim rests on it: a model that does well here
has shown nothing about patients.

Where a number below has no source it says "ours": it was set by eye and by level against public recordings.

Sources, by the short names used below:

- ATS 1977: ATS-ACCP Ad Hoc Committee on Pulmonary Nomenclature, ATS News 3:5-6.
- Bohadana 2014: Bohadana, Izbicki, Kraman, "Fundamentals of Lung Auscultation", N Engl J Med 370:744-751,
  Table 1.
- CORSA: Sovijärvi et al., "Characteristics of breath sounds and adventitious respiratory sounds" and
  "Definition of terms for applications of respiratory sounds", Eur Respir Rev 10(77), 2000.
- Fleming 2011: Fleming et al., "Normal ranges of heart rate and respiratory rate in children from birth to
  18 years of age", Lancet 377:1011-1018.
- Gavriely 1981: Gavriely, Palti, Alroy, "Spectral characteristics of normal breath sounds", J Appl Physiol
  50:307-314.
- Gavriely 1996: Gavriely, Cugell, "Airflow effects on amplitude and spectral content of normal breath
  sounds", J Appl Physiol 80:5-13.
- IEC 60601-1-8: alarm systems in medical electrical equipment, auditory alarm signals.
- Kiyokawa 2001: Kiyokawa, Greenberg, Shirota, Pasterkamp, "Auditory detection of simulated crackles in
  breath sounds", Chest 119:1886-1892.
- Pasterkamp 1997: Pasterkamp, Kraman, Wodicka, "Respiratory sounds: advances beyond the stethoscope",
  Am J Respir Crit Care Med 156:974-987.
- Tobin 1983: Tobin et al., "Breathing patterns: 1. Normal subjects", Chest 84:202-205.
- Weissler 1968: Weissler, Harris, Schoenfeld, "Systolic time intervals in heart failure in man",
  Circulation 37:149-159.

`chest` makes waveforms, `patient` draws what is heard, `ward` and `device` what lies over it, `recording`
puts them together; `dataset` and `multichannel` write data sets, `other` sounds that are no lung.
"""

from laennec.simulate.dataset import simulate_dataset, write_demo
from laennec.simulate.multichannel import simulate_cohort
from laennec.simulate.recording import SimulatedRecording, demo_recordings, simulate_recording

__all__ = [
    "SimulatedRecording",
    "demo_recordings",
    "simulate_cohort",
    "simulate_dataset",
    "simulate_recording",
    "write_demo",
]
