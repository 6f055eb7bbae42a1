import threading

from dragoman.cli.waiting import remark_after

LONG = 10.0


def test_a_long_wait_is_remarked_once():
    said = threading.Event()
    with remark_after(0.0, said.set):
        assert said.wait(LONG)


def test_what_came_in_time_is_not_remarked():
    said = []
    before = set(threading.enumerate())
    with remark_after(LONG, lambda: said.append("late")) as heard:
        heard()
        heard()
    with remark_after(LONG, lambda: said.append("late")):
        pass
    for thread in set(threading.enumerate()) - before:
        thread.join(LONG)
    assert said == []
