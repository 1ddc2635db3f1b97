from protocols.errors import EmitraceError, InputError, InputErrors


def test_an_error_says_subject_what_was_seen_and_what_to_do() -> None:
    """The text carries all three parts as sentences."""
    error = EmitraceError("meter boiler-3", "no answer within 1.5 s", "check the wiring")

    assert str(error) == "meter boiler-3: no answer within 1.5 s. check the wiring."


def test_an_input_error_names_file_line_field_and_nearest_name() -> None:
    """Everything needed to find and correct the line is in one line."""
    error = InputError("plan.toml", 12, "points[0].register", 'no register "enrgy"', nearest="energy")

    assert str(error) == "plan.toml:12: points[0].register: no register \"enrgy\". did you mean 'energy'?"
    assert (error.file, error.line, error.field) == ("plan.toml", 12, "points[0].register")


def test_a_problem_of_the_whole_file_has_no_line_and_no_field() -> None:
    """A file that cannot be read is named alone."""
    assert str(InputError("plan.toml", 0, "", "no such file")) == "plan.toml: no such file."


def test_many_errors_are_told_in_the_order_of_the_file() -> None:
    """A group lists each problem on its own line, sorted by line."""
    group = InputErrors([InputError("a.toml", 9, "b", "late"), InputError("a.toml", 2, "a", "early")])

    assert str(group) == "a.toml:2: a: early.\na.toml:9: b: late."
    assert [error.line for error in group.errors] == [2, 9]
