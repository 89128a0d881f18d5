"""What may be asked of the home screen, and of the matrix builder that opens over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txtop.errors import TxtopError
from txtop.ui import clipboard
from txtop.ui.app_base import BaseApp
from txtop.ui.modes import HomeMode, LiveMode, ReplayMode, SideBySideMode
from txtop.ui.screens.dialogs import Choice, ChoiceDialog

if TYPE_CHECKING:
    from txtop.ui.models.matrix_choices import MatrixChoices


class HomeActions(BaseApp, inherit_bindings=False):
    """Every action leads to a show, or changes what the screen keeps."""

    _choices: MatrixChoices | None = None

    def action_run_quick(self) -> None:
        if self._home is not None:
            self._switch(self._home.quick())

    def action_choose_ab(self) -> None:
        """Asks which two precisions; `enter` takes the first."""
        if self._home is None:
            return
        chosen = self._root.selected
        pairs = list_ab_pairs(chosen.models if chosen is not None else "")

        def find(typed: str) -> list[Choice]:
            words = typed.lower().split()
            return [Choice(key, key) for key in pairs if all(w in key.lower() for w in words)]

        self.push_screen(ChoiceDialog("A/B", find), lambda key: self._run_ab(pairs, key))

    def _run_ab(self, pairs: dict[str, tuple[str, str, str]], key: str | None) -> None:
        if self._home is None or key is None:
            return
        try:
            self._switch(self._home.versus(*pairs[key]))
        except TxtopError as error:
            self.say(str(error), "error")

    def action_open(self) -> None:
        """The session that is selected: followed while it runs, else played."""
        if not isinstance(self.show, HomeMode):
            return
        chosen = self._root.selected
        if chosen is None:
            self.say("no session is selected")
        elif chosen.stage == "running":
            self._switch(LiveMode(path=chosen.path))
        else:
            self._switch(ReplayMode(chosen.path))

    def action_finish(self) -> None:
        """Goes on with the session that is selected, where it was interrupted."""
        chosen = self._root.selected if isinstance(self.show, HomeMode) else None
        if chosen is None:
            return
        if chosen.resumable:
            self._switch(LiveMode(path=chosen.path, resumes=True))
        else:
            self.say(f"{chosen.label} was not interrupted")

    def action_mark(self) -> None:
        self._root.mark()

    def action_filter_sessions(self) -> None:
        self._root.find()

    def action_compare(self) -> None:
        """The two marked sessions side by side."""
        pair = self._root.sessions.list.pair()
        if isinstance(pair, str):
            self.say(pair)
        else:
            self._switch(SideBySideMode(pair[0].path, pair[1].path))

    # The matrix builder, over home

    def action_build_matrix(self) -> None:
        if self._home is None or self._pump is None:
            return
        from txtop.ui.models.matrix_choices import MatrixChoices
        from txtop.ui.screens.matrix import MatrixScreen

        self._choices = self._choices or MatrixChoices()
        self._root = self._builder = MatrixScreen(self._choices, self._home.session_dir)
        self._paint_once()
        self.push_screen(self._root)
        self._pump.ask(lambda machine: machine.load_history())

    def _close_builder(self) -> None:
        self._builder = None
        self._root = self.screen_stack[0]
        self.pop_screen()

    def action_choose(self) -> None:
        if self._builder is not None:
            self._builder.choose()

    def action_type_value(self) -> None:
        if self._builder is not None and not self._builder.begin_typing():
            self.say("all values that there are stand there")

    def action_copy_command(self) -> None:
        if self._builder is not None and self._builder.forecast.command:
            clipboard.copy_lines(self, "the command line", [self._builder.forecast.command])

    def action_start_matrix(self) -> None:
        if self._builder is None or self._home is None:
            return
        plan = self._builder.forecast.plan
        if plan is None:
            self.say(self._builder.forecast.error, "error")
        else:
            self._switch(self._home.start(plan))


def list_ab_pairs(models: str) -> dict[str, tuple[str, str, str]]:
    """What an A/B can be started of: of gpt2, and of the first of the models of a session."""
    known = dict.fromkeys(["gpt2", *models.split()[:1]])
    return {
        f"{model}: fp32 against {other}": (model, "fp32", other)
        for model in known
        for other in ("bf16", "fp16", "int8")
    }
