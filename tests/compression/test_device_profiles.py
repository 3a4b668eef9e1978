import math
import tomllib

import pytest

from compression.device_profiles import (
    DEVICES,
    FAMILIES,
    LABELS,
    device_names,
    load_device,
    read_profile,
)
from compression.errors import CompressionError

GOOD = (DEVICES / "rpi4.toml").read_text()
PAPER = {
    *("redmi-3s", "mi-5s", "mi-6", "huawei-pra-al00", "galaxy-note5", "huawei-p9"),
    *("huawei-watch2", "sony-sw3", "firefly-rk3399", "firefly-rk3288"),
    *("xiaomi-box-3s", "huawei-box"),
}


@pytest.fixture
def write(tmp_path):
    def made(text):
        path = tmp_path / "board.toml"
        path.write_text(text)
        return path

    return made


def test_catalogue_holds_the_devices_of_the_paper_modern_ones_and_microcontrollers():
    families = [load_device(name).family for name in device_names()]
    assert {name for name in device_names() if load_device(name).paper} == PAPER
    assert families.count("microcontroller") == 4
    assert len(families) == 32
    assert device_names()[0] == "this-host"
    assert families == sorted(families, key=FAMILIES.index)


@pytest.mark.parametrize("name", device_names())
def test_every_profile_loads_with_a_label_and_a_source_for_each_figure(name):
    device = load_device(name)
    assert device.label in LABELS
    assert device.energy_label in LABELS
    for figure in ("power_w", "dram_pj_per_byte", "power_relative_sd"):
        assert device.sources[figure]
    if not device.measured_here:
        assert (
            "Fitted on" in device.sources["rate_gmacs"]
            or "Predicted from" in (device.sources["rate_gmacs"])
        )


@pytest.mark.parametrize("name", [n for n in device_names() if n != "this-host"])
def test_latency_figures_are_the_output_of_the_fit(name):
    text = (DEVICES / f"{name}.toml").read_text()
    by_hand, _, fitted = text.partition("# From here on: output of")
    assert "rate_gmacs" in fitted
    assert "fit" not in tomllib.loads(by_hand)


def test_closer_kinship_means_a_narrower_band():
    known = [load_device(name) for name in device_names()]
    spread = {
        device.label: device.latency_log_sd for device in known if device.family == "phone"
    }
    assert spread["same chip"] < spread["similar chip"] < spread["rough"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "power_w = 3.2",
            "power = 3.2",
            r"board\.toml: unknown key 'power' in \[energy\].*write power_w",
        ),
        (
            "threads = 4",
            "threads = 4\nturbo = 1",
            r"unknown key 'turbo' in \[latency\]\. Known are runtime",
        ),
        ("power_w = 3.2", "", r"'power_w' in \[energy\] is missing; it is a number"),
        (
            "power_w = 3.2",
            "power_w = '3.2 W'",
            r"'power_w' in \[energy\] is '3.2 W', but should be a number",
        ),
        ("power_w = 3.2", "power_w = -1", r"'power_w' in \[energy\] is -1"),
        ("threads = 4", "threads = 2.5", "should be a whole number"),
        (
            "ram_mb = 1024",
            "ram_mb = 1024\nflash_kb = 3",
            r"'flash_kb' in \[hardware\] has no source",
        ),
        ('family = "board"', 'family = "fridge"', "family is 'fridge'; known are host, phone"),
        ('arithmetic = "fp32"', 'arithmetic = "fp8"', r"arithmetic in \[latency\] is 'fp8'"),
        ("depthwise =", "deepwise =", r"rate_gmacs in \[fit\] needs exactly conv3x3_s1"),
        ('title = "', "title = ", "is not a TOML file"),
        ("conv_kxk = ", "conv_kxk = -", "rate_gmacs in .fit. needs a number above zero"),
        ("ram_mb = 1024", "ram_mb = inf", r"'ram_mb' in \[hardware\] is inf"),
        (
            "[sources]",
            "[sources]\npower = 'a book'",
            r"unknown key 'power' in \[sources\]\. .*write power_w",
        ),
        (
            "calibrated_macs = [",
            "calibrated_macs = [9e12, 1]\n#",
            r"calibrated_macs in \[fit\] is \[9000000000000\.0, 1\], but should be a least",
        ),
        (
            "threads = 4",
            "threads = 4\nlatency_log_sd = 0.1",
            r"'latency_log_sd' stands in \[latency\] where there is no \[fit\], and only there",
        ),
        ("[hardware]", "hardware = 3\n[old]", r"'hardware' should be a table, \[hardware\]"),
    ],
)
def test_faulty_file_fails_with_file_and_key(write, old, new, message):
    assert old in GOOD
    with pytest.raises(CompressionError, match=message):
        read_profile(write(GOOD.replace(old, new, 1)))


def test_profile_without_a_fit_is_refused_unless_it_is_measured_here(write):
    by_hand = GOOD.partition("# From here on")[0]
    with pytest.raises(CompressionError, match=r"'label' in \[fit\] is missing"):
        read_profile(write(by_hand))
    here = by_hand.replace("threads = 4", "threads = 4\nmeasured_here = true")
    with pytest.raises(CompressionError, match=r"'latency_log_sd' stands in \[latency\]"):
        read_profile(write(here))
    doubted = here.replace("measured_here = true", "measured_here = true\nlatency_log_sd = 0.2")
    with pytest.raises(
        CompressionError, match=r"'latency_log_sd' in \[latency\] has no source"
    ):
        read_profile(write(doubted))
    said = doubted.replace("[sources]", "[sources]\nlatency_log_sd = 'hidden networks'")
    device = read_profile(write(said))
    assert device.measured_here
    assert device.latency_log_sd == 0.2
    assert device.calibrated_macs == (0.0, math.inf)


def test_unknown_target_is_refused_with_the_nearest_ones():
    with pytest.raises(CompressionError, match=r"called 'pixel-7'\. Did you mean pixel-8"):
        load_device("pixel-7")


@pytest.mark.parametrize("name", device_names())
def test_energy_whose_power_is_from_memory_is_rough(name):
    device = load_device(name)
    if "memory" in device.sources["power_w"].lower():
        assert device.energy_label == "rough"
