import time

import pytest

from webapp.devices.agent import power


@pytest.fixture
def write(tmp_path):
    def write(path, text):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{text}\n")
        return target

    return write


def test_nothing_is_told_where_nothing_measures(tmp_path):
    assert power.power_meter(tmp_path) is None


def test_counter_of_the_processor_is_read_over_its_limit(tmp_path, write):
    energy = write("powercap/intel-rapl:0/energy_uj", 900_000)
    write("powercap/intel-rapl:0/max_energy_range_uj", 1_000_000)
    write("powercap/intel-rapl:0/name", "package-0")

    def work(_seconds):
        time.sleep(0.3)
        energy.write_text("400000")  # 0.5 J later, over the limit

    meter = power.power_meter(tmp_path)
    assert meter.source == "RAPL package-0"
    assert 0.5 / 3 < meter.watts(work, 0) <= 0.5 / 0.3


def test_counter_that_only_root_reads_is_none(tmp_path, write):
    write("powercap/intel-rapl:0/energy_uj", "")
    assert power.power_meter(tmp_path) is None


def test_sensor_multiplies_current_and_voltage(tmp_path, write):
    write("hwmon/hwmon0/name", "coretemp")
    write("hwmon/hwmon1/name", "ina3221")
    write("hwmon/hwmon1/curr1_input", 500)
    write("hwmon/hwmon1/in1_input", 5000)
    meter = power.power_meter(tmp_path)
    assert meter.source == "sensor ina3221"
    assert meter.watts(time.sleep, 0.25) == pytest.approx(2.5)


@pytest.mark.parametrize(("status", "found"), [("Discharging", True), ("Charging", False)])
def test_battery_counts_only_while_it_discharges(tmp_path, write, status, found):
    write("power_supply/BAT0/type", "Battery")
    write("power_supply/BAT0/status", status)
    write("power_supply/BAT0/power_now", 3_000_000)
    meter = power.power_meter(tmp_path)
    assert (meter is not None) == found
    if meter:
        assert meter.watts(time.sleep, 0.25) == pytest.approx(3.0)


def test_energy_of_a_run_is_what_it_takes_above_rest():
    watts, asked = iter([1.0, 3.0, 2.0, 0.9]), []

    class Meter:
        source, least_s = "test", 0.1

        def watts(self, work, seconds):
            asked.append(seconds)
            work(seconds)
            return next(watts)

    rests = []
    calls = dict.fromkeys(("heavy", "light", "nothing"), lambda: time.sleep(0.01))
    found = power.power_of(Meter(), calls, lambda: rests.append(len(asked)))
    assert found["heavy"]["run_mj"] == pytest.approx(2.0 * 10, rel=0.2)
    assert found["light"]["run_mj"] == pytest.approx(1.0 * 10, rel=0.2)
    assert "nothing" not in found  # less than at rest: something else has ended meanwhile
    # A battery takes ten seconds each time, in which nobody hears of the agent.
    assert rests == [1, 2, 3]
