"""What a person at the terminal sees, whatever the names and reasons hold."""

from tasks.common.terminal import print_closing


def test_square_brackets_of_a_name_or_a_reason_are_shown_and_end_nothing(capsys):
    table = [("who", "why [/in]"), ("ana[/b]", "see [red]this[/red]")]
    print_closing("tiny [/x] is version 1", "green", table, ("for [/y]",), ("next: [/z]",))
    shown = capsys.readouterr().err
    for text in ("why [/in]", "ana[/b]", "see [red]this[/red]", "tiny [/x] is", "for [/y]", "next: [/z]"):
        assert text in shown
