"""Lists of jobs: read, run, left and taken up again; a fault stays its own."""

import json

import pytest

from animate_anyone_core.errors import MediaError, SettingsError
from animate_anyone_core.jobs import Job, JobReport, read_rows
from animate_anyone_core.jobs import run_jobs as run_by
from animate_anyone_core.workers.tasks import OneProcess


def run_jobs(path, make_job, process=(0, 1)) -> JobReport:
    return run_by(path, make_job, OneProcess(None), process)


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def work(tmp_path):
    """Makes jobs that write their output, and notes which ran."""
    ran = []

    def make_job(number, row):
        output = tmp_path / row["output"]

        def run(_):
            ran.append(number)
            if "fault" in row:
                raise (
                    row["fault"]
                    if isinstance(row["fault"], Exception)
                    else MediaError(row["fault"])
                )
            output.write_text("made")

        options = {name: str(value) for name, value in row.items() if name != "fault"}
        return Job(number, options, output), run

    return make_job, ran


class TestReading:
    def test_json_lines_and_csv_say_the_same(self, tmp_path):
        rows = [{"reference": "a, b.png", "seed": "3"}, {"reference": "c.png"}]
        lines = write(tmp_path / "jobs.jsonl", rows[0], rows[1] | {"seed": None})
        table = tmp_path / "jobs.csv"
        table.write_text('reference,seed\r\n"a, b.png",3\r\n,\r\nc.png,\r\n', newline="")
        assert [row for _, row in read_rows(lines)] == rows
        assert read_rows(table) == [(2, rows[0]), (4, rows[1])]

    def test_empty_lines_and_a_byte_order_mark_are_no_jobs(self, tmp_path):
        (tmp_path / "jobs").write_bytes(b'\xef\xbb\xbf\n{"output": "a"}\r\n\n  \n{"output": "b"}')
        assert read_rows(tmp_path / "jobs") == [(2, {"output": "a"}), (5, {"output": "b"})]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.jsonl", b"", "holds no job"),
            ("a.jsonl", b'{"a": 1}\n[1]\n', "Line 2 of .* no JSON object"),
            ("a.jsonl", b'{"a": 1\n', "Line 1 of .* is not JSON"),
            ("a.jsonl", b"[" * 10_000, "Line 1 of"),
            ("a.jsonl", b"\xff\xfe", "no text in UTF-8"),
            ("a.csv", b"a,b\n1,2,3\n", "more fields than the header"),
            ("a.csv", b"a,b\n", "holds no job"),
        ],
    )
    def test_what_is_no_list_is_told(self, tmp_path, name, content, message):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SettingsError, match=message):
            read_rows(tmp_path / name)

    def test_no_file(self, tmp_path):
        with pytest.raises(SettingsError, match="There is no list of jobs"):
            read_rows(tmp_path / "none.jsonl")


class TestRunning:
    def test_a_fault_ends_its_own_job_and_is_tried_again(self, tmp_path, work):
        make_job, ran = work
        rows = [
            {"output": "a"},
            {"output": "b", "fault": "no\nface"},
            {"nothing": 1},
            {"output": "d"},
        ]
        path = write(tmp_path / "jobs.jsonl", *rows)
        report = run_jobs(path, make_job)
        assert (report.done, report.skipped, ran) == (2, 0, [1, 2, 4])
        assert report.faults == [(2, "no face"), (3, "KeyError: 'output'")]
        assert str(report).startswith("4 jobs: 2 done in 0 s, 2 failed:\n  line 2: no face")
        ran.clear()
        again = run_jobs(write(path, *rows[:1], {"output": "b"}, *rows[3:]), make_job)
        assert (again.done, again.skipped, again.faults, ran) == (1, 2, [], [2])

    def test_what_was_stopped_goes_on(self, tmp_path, work):
        make_job, ran = work
        rows = [{"output": name} for name in "abcd"]
        rows[2]["fault"] = 1

        def stopped(number, row):
            job, run = make_job(number, {k: v for k, v in row.items() if k != "fault"})

            def run_or_stop(tools):
                if "fault" in row:
                    raise KeyboardInterrupt
                run(tools)

            return job, run_or_stop

        path = write(tmp_path / "jobs.jsonl", *rows)
        with pytest.raises(KeyboardInterrupt):
            run_jobs(path, stopped)
        del rows[2]["fault"]
        with (tmp_path / "jobs.jsonl.done.jsonl").open("a") as file:
            file.write('{"output": "c')  # what a killed process may leave
        ran.clear()
        assert run_jobs(write(path, *rows), make_job).skipped == 2
        assert ran == [3, 4]

    def test_another_option_another_file_and_a_lost_output_are_made_again(self, tmp_path, work):
        make_job, _ran = work
        picture = tmp_path / "picture.png"
        picture.write_bytes(b"one")
        row = {"output": "a", "reference": str(picture)}
        path = write(tmp_path / "jobs.jsonl", row)
        run_jobs(path, make_job)
        assert run_jobs(path, make_job).skipped == 1
        picture.write_bytes(b"other")
        assert run_jobs(path, make_job).done == 1
        assert run_jobs(write(path, row | {"seed": 1}), make_job).done == 1
        (tmp_path / "a").unlink()
        assert run_jobs(path, make_job).done == 1

    def test_two_jobs_with_one_output_are_refused_before_any_work(self, tmp_path, work):
        make_job, ran = work
        path = write(tmp_path / "jobs.jsonl", {"output": "a"}, {"output": "./a", "seed": 1})
        with pytest.raises(SettingsError, match="lines 1 and 2 both make"):
            run_jobs(path, make_job)
        assert ran == []

    @pytest.mark.parametrize("many", [2, 3, 8])
    def test_processes_share_a_list(self, tmp_path, work, many):
        make_job, ran = work
        rows = [{"output": f"out {i}"} for i in range(7)] + [{"broken": 1}]
        path = write(tmp_path / "jobs.jsonl", *rows)
        reports = [run_jobs(path, make_job, (which, many)) for which in range(many)]
        assert sorted(ran) == [1, 2, 3, 4, 5, 6, 7]
        assert sum(r.done for r in reports) == 7
        assert sum(len(r.faults) for r in reports) == 1
        assert run_jobs(path, make_job).skipped == 7
