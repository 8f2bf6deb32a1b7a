"""The settings of `nbrun.toml`, and where runs are stored."""

import os
import re
from hashlib import sha256
from pathlib import Path

import platformdirs
import pytest

from nbrun.config import Config, files, load, load_for, runs_dir, trust
from nbrun.core.model import ProgramPolicy
from nbrun.errors import NbrunError, UsageError
from nbrun.runbook.trust.rules import CommittedRule, SignedRule
from nbrun.system import state_folder


def configure(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nbrun.toml"
    path.write_text(text)
    return path


def test_settings_have_defaults_without_file(tmp_path: Path) -> None:
    assert load(tmp_path) == Config(runs_dir=None)


def test_relative_runs_dir_starts_at_folder_of_file(tmp_path: Path) -> None:
    configure(tmp_path, "runs_dir = 'kept/runs'")
    assert load(tmp_path / "a" / "b").runs_dir == tmp_path / "kept/runs"


def test_absolute_runs_dir_is_unchanged(tmp_path: Path) -> None:
    configure(tmp_path, "runs_dir = '/srv/runs'")
    assert load(tmp_path).runs_dir == Path("/srv/runs")


def test_tilde_in_runs_dir_is_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    configure(tmp_path, "runs_dir = '~/runs'")
    assert load(tmp_path).runs_dir == Path("/home/ada/runs")


def test_nearest_file_that_sets_a_key_counts(tmp_path: Path) -> None:
    configure(tmp_path, "runs_dir = '/far'\n[defaults]\ntimeout = 1\nretries = 1")
    configure(tmp_path / "team", "runs_dir = '/near'\n[defaults]\ntimeout = 2")
    configure(tmp_path / "team" / "empty", "")
    for folder in ("restore", "empty"):
        found = load(tmp_path / "team" / folder)
        assert found.runs_dir == Path("/near")
        assert found.defaults == {"timeout": 2, "retries": 1}


POLICY = """
[policy]
allow = ["edited", "skipped"]
need_reason = ["edited"]
need_approval = ["inserted"]
[redact]
patterns = ["AKIA[A-Z]{4}"]
"""


@pytest.mark.parametrize(
    "nearer",
    [
        "",
        "[policy]\nneed_reason = []\nneed_approval = []",
        "[policy]\nallow = ['edited', 'skipped', 'inserted', 'retried']\nstrict = false",
        "[redact]\npatterns = []",
    ],
)
def test_nearer_file_can_not_weaken_policy_or_redaction(tmp_path: Path, nearer: str) -> None:
    configure(tmp_path, POLICY)
    far = load(tmp_path)
    configure(tmp_path / "sub", nearer)
    near = load(tmp_path / "sub")
    assert (near.allow, near.need_reason) == (("edited", "skipped"), ("edited",))
    assert (near.need_approval, near.redact_patterns) == (("inserted",), ("AKIA[A-Z]{4}",))
    assert [file.path for file in near.files] == [
        str(tmp_path / "nbrun.toml"),
        str(tmp_path / "sub" / "nbrun.toml"),
    ]
    assert near.files[:1] == far.files
    assert near.files[0].sha256 == sha256(POLICY.encode()).hexdigest()


def test_nearer_file_makes_policy_stricter(tmp_path: Path) -> None:
    configure(tmp_path, POLICY)
    configure(
        tmp_path / "sub",
        "[policy]\nstrict = true\nallow = ['skipped', 'retried']\nneed_reason = ['skipped']\n"
        "[redact]\npatterns = ['b+']",
    )
    found = load(tmp_path / "sub")
    assert found.strict
    assert (found.allow, found.need_reason) == (("skipped",), ("edited", "skipped"))
    assert found.redact_patterns == ("AKIA[A-Z]{4}", "b+")


PROGRAMS = """
[policy.programs]
decide = ["retry", "skip"]
impact = "changes"
"""


def test_programs_may_propose_and_decide_nothing_without_file(tmp_path: Path) -> None:
    found = load(tmp_path).programs
    assert (found.propose, found.decide, found.impact, found.one_step) == (True, (), "none", False)


@pytest.mark.parametrize(
    ("nearer", "expected"),
    [
        ("", ProgramPolicy(decide=("retry", "skip"), impact="changes")),
        (
            "decide = ['skip', 'edit']\nimpact = 'destructive'",
            ProgramPolicy(decide=("skip",), impact="changes"),
        ),
        (
            "propose = false\nimpact = 'none'\none_step = true",
            ProgramPolicy(propose=False, decide=("retry", "skip"), one_step=True),
        ),
    ],
)
@pytest.mark.parametrize("is_trusted", [False, True])
def test_nearer_file_never_lets_programs_do_more(
    tmp_path: Path, system: Path, nearer: str, expected: ProgramPolicy, is_trusted: bool
) -> None:
    system.write_text(PROGRAMS)
    path = configure(tmp_path / "sub", f"[policy.programs]\n{nearer}")
    if is_trusted:
        trust.add(path, sha256(path.read_bytes()).hexdigest())
    assert load(tmp_path / "sub").programs == expected


def test_untrusted_file_lets_programs_decide_nothing(tmp_path: Path) -> None:
    path = configure(tmp_path, PROGRAMS)
    found = load(tmp_path)
    assert found.programs == ProgramPolicy()
    assert any("[policy.programs] decide" in notice for notice in found.notices)
    trust.add(path, sha256(path.read_bytes()).hexdigest())
    assert load(tmp_path).programs == ProgramPolicy(decide=("retry", "skip"), impact="changes")
    assert not load(tmp_path).notices


# ── the system's file and this user's own ────────────────────────────────────────────────────


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path that stands for /etc/nbrun.toml, as a file of root's."""
    path = tmp_path / "etc" / "nbrun.toml"
    path.parent.mkdir()
    monkeypatch.setattr(files, "SYSTEM_FILE", path)
    monkeypatch.setattr(files, "_ROOT", os.getuid())
    return path


SYSTEM = """
sign_key = "/etc/nbrun/key"
[journal]
forward = "syslog"
max_output = "1MiB"
[policy]
approvers = "dba"
[gateway]
url = "https://gateway.example.com"
[roles.dba]
env = { PGHOST = "db1" }
"""


def test_nearer_file_can_not_change_what_the_system_sets(tmp_path: Path, system: Path) -> None:
    system.write_text(SYSTEM)
    own = configure(
        tmp_path / "work",
        "sign_key = 'mine'\n[journal]\nforward = ['true']\nmax_output = 1\n"
        "[gateway]\nurl = 'https://elsewhere'\ntoken = '@env:HOME'\n"
        "[policy]\napprovers = 'me'\n[roles.dba]\nunix_user = 'me'\n[roles.ops]",
    )
    trust.add(own, sha256(own.read_bytes()).hexdigest())
    found = load(tmp_path / "work")
    assert found.sign_key == Path("/etc/nbrun/key")
    assert found.forward == ("syslog",)
    assert found.max_output == 2**20
    assert found.approvers == "dba"
    assert found.role("dba").unix_user == ""
    assert found.role("ops").name == "ops"
    assert f"[journal] forward in {own} is not used: that in {system} holds" in found.notices
    gateway = found.gateway_for(None)
    assert gateway is not None
    assert (gateway.url, gateway.token) == ("https://gateway.example.com", "")
    assert f"[gateway] in {own} is not used: that in {system} holds" in found.notices
    assert len(found.notices) == 6


def test_system_file_that_others_can_write_is_refused(tmp_path: Path, system: Path) -> None:
    system.write_text(SYSTEM)
    system.chmod(0o666)
    with pytest.raises(UsageError, match=f"{system}: is not used: others can write"):
        load(tmp_path)


def test_users_own_file_acts_without_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own = configure(tmp_path / "config" / "nbrun", "[journal]\nforward = 'syslog'")
    found = load(tmp_path / "work")
    found.check_trust()
    assert found.forward == ("syslog",)
    own.chmod(0o664)
    with pytest.raises(UsageError, match=f"{own}: is not used: others can write"):
        load(tmp_path / "work")


# ── trust ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("sign_key = 'key'", "sign_key"),
        ("[journal]\nforward = ['touch', 'ran']", "[journal] forward"),
        ("[roles.dba]\nenv_from_cmd = { PGPASSWORD = 'touch ran' }", "[roles.dba]"),
        ("[roles.dba]\nunix_user = 'postgres'", "[roles.dba]"),
        ("[gateway]\nurl = 'https://elsewhere'", "[gateway]"),
    ],
)
def test_file_acts_only_once_it_is_trusted_and_until_it_changes(
    tmp_path: Path, text: str, key: str
) -> None:
    def use() -> None:
        found = load(tmp_path)
        found.check_trust()
        if "roles" in key:
            found.role("dba")
        if "gateway" in key:
            found.gateway_for(None)

    path = configure(tmp_path, text)
    said = f"{path}: {key} runs, sends or signs something as you"
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        use()
    assert str(caught.value).endswith(f"nbrun trust {path}")
    assert load(tmp_path).forward == ()
    trust.add(path, sha256(path.read_bytes()).hexdigest())
    use()
    path.write_text(f"{text}\n# changed\n")
    with pytest.raises(UsageError, match="as it is now"):
        use()


def test_untrusted_role_matters_only_when_it_is_taken(tmp_path: Path) -> None:
    configure(tmp_path, "[roles.dba]\nunix_user = 'postgres'")
    load(tmp_path).check_trust()
    with pytest.raises(UsageError, match="there is no role 'ops'"):
        load(tmp_path).role("ops")


def test_untrusted_file_can_not_send_a_run_to_another_gateway(
    tmp_path: Path, system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    configure(tmp_path / "config" / "nbrun", "[gateway]\nurl = 'https://mine'\ntoken = '@env:T'")
    near = configure(tmp_path / "near", "[gateway]\nurl = 'https://elsewhere'")
    found = load(tmp_path / "near")
    with pytest.raises(UsageError, match=re.escape(f"{near}: [gateway] runs, sends or signs")):
        found.gateway_for(None)
    typed = found.gateway_for("https://mine/")
    assert typed is not None
    assert typed.token == "@env:T"


def test_typed_gateway_gets_no_token_of_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    configure(tmp_path / "config" / "nbrun", "[gateway]\nurl = 'https://mine'\ntoken = '@env:T'")
    monkeypatch.delenv("JUPYTER_GATEWAY_AUTH_TOKEN", raising=False)
    found = load(tmp_path)
    other = found.gateway_for("https://other")
    assert other is not None
    assert (other.url, other.token) == ("https://other", "")
    monkeypatch.setenv("JUPYTER_GATEWAY_AUTH_TOKEN", "x")
    other = found.gateway_for("https://other")
    assert other is not None
    assert other.token == "@env:JUPYTER_GATEWAY_AUTH_TOKEN"
    assert found.gateway_for("none") is None


def test_trusted_nearer_file_replaces_what_an_untrusted_one_sets(tmp_path: Path) -> None:
    configure(tmp_path, "[journal]\nforward = ['true']")
    near = configure(tmp_path / "near", "[journal]\nforward = 'syslog'")
    trust.add(near, sha256(near.read_bytes()).hexdigest())
    found = load(tmp_path / "near")
    found.check_trust()
    assert found.forward == ("syslog",)


@pytest.mark.parametrize("forge", [b"[]", b"{", b'{"a": 1}', b"\xff"])
def test_list_of_trusted_files_that_is_damaged_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: bytes
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = state_folder.state_path("trusted.json")
    state_folder.write(path, forge)
    with pytest.raises(NbrunError, match=r"trusted.json: can't be read"):
        trust.is_trusted(tmp_path / "nbrun.toml", "0" * 64)
    path.chmod(0o666)
    with pytest.raises(NbrunError, match=r"trusted.json: is not used: others can write"):
        trust.is_trusted(tmp_path / "nbrun.toml", "0" * 64)


def test_folder_named_like_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "nbrun.toml").mkdir()
    assert load(tmp_path) == Config()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("runs_dir = ", "can't be read"),
        ("\udcff", "can't be read"),
        ("run_dir = 'x'", "unknown key 'run_dir' (known: approvers, defaults, gateway, "),
        ("[defaults]\ntimeout = 0", "defaults.timeout must be seconds"),
        ("[defaults]\nconfirm = true", "defaults.confirm is not known"),
        ("defaults = 1", "defaults must be an object"),
        ("[roles]\ndba = 1", "roles.dba must be a table"),
        ("[roles.dba]\nunix_users = 'x'", "unknown key 'roles.dba.unix_users'"),
        ("[roles.dba]\naws_duration = 900", "roles.dba: aws_duration needs aws_role_arn"),
        ("[roles.dba]\naws_role_arn = 'a'\naws_duration = 899", "from 900 to 43200, not 899"),
        ("[roles.dba]\naws_role_arn = 'a'\naws_duration = true", "seconds from 900 to 43200"),
        ("[roles.dba]\naws_role_arn = 'a'\naws_session_tags = 1", "must be true or false, not 1"),
        ("[roles.dba]\nunix_user = 'a'\naws_profile = 'b'", "with unix_user needs aws_role_arn"),
        (
            "[roles.dba]\naws_profile = 'a'\ninherit = ['AWS_PROFILE']",
            "roles.dba: AWS_PROFILE comes from aws_profile; leave it out",
        ),
        (
            "[roles.dba]\naws_role_arn = 'a'\nenv = {AWS_ACCESS_KEY_ID = 'b'}",
            "AWS_ACCESS_KEY_ID comes from aws_role_arn",
        ),
        (
            "[roles.dba]\nkube_context = 'a'\nenv_from_cmd = {KUBECONFIG = 'b'}",
            "KUBECONFIG comes from kube_context",
        ),
        ("[roles.dba]\nkube_impersonate = 'a'", "kube_impersonate needs kube_context"),
        ("[roles.dba]\nkube_context = 'a'\nkube_groups = ['b']", "needs kube_impersonate"),
        (
            "[roles.dba]\nkube_context = 'a'\nkube_impersonate = 'b'\nkube_groups = 'c'",
            "kube_groups must be a list of texts, not 'c'",
        ),
        ("[roles.dba]\nunix_user = 1000", "roles.dba.unix_user must be a text of one line"),
        ("[roles.dba]\nunix_user = ''", "must be a text of one line, not ''"),
        ('[roles.dba]\nunix_user = "a\\nb"', "must be a text of one line"),
        ("[roles.dba]\ninherit = ['a-b']", "roles.dba.inherit must be a list of names"),
        ("[roles.dba]\nenv = {A = 1}", "roles.dba.env must be a table of names and texts"),
        ("[roles.dba]\nenv = {A = '1'}\nenv_from_cmd = {A = 'x'}", "A comes from two places"),
        ("[policy]\nstrict = 'yes'", "policy.strict must be true or false"),
        ("[policy]\nallow = ['retry']", "policy.allow must be a list of by_hand, edited"),
        ("[policy]\nneed_reason = 'edited'", "policy.need_reason must be a list"),
        (
            "[policy]\nneed_approval = ['edit']",
            "policy.need_approval must be a list of by_hand, edited",
        ),
        ("[policy]\nprograms = true", "policy.programs must be a table"),
        ("[policy.programs]\nmay = 1", "unknown key 'policy.programs.may' (known: decide, impact"),
        ("[policy.programs]\npropose = 1", "policy.programs.propose: 1: must be true or false"),
        ("[policy.programs]\ndecide = ['note']", "must be a list of run, retry, done"),
        ("[policy.programs]\nimpact = ['none']", "must be one of none, changes, destructive"),
        ("[policy]\napprovers = ['dba']", "policy.approvers must be the name of a group"),
        ("[policy]\napprovers = ''", "policy.approvers must be the name of a group"),
        ("[policy]\napprovers = {min = 0}", "policy.approvers must be the name of a group"),
        ("[policy]\napprovers = {within = '1s'}", "policy.approvers must be the name of a group"),
        ("[policy]\napprovers = {grup = 'dba'}", "policy.approvers must be the name of a group"),
        ("[journal]\nto = 'x'", "unknown key 'journal.to' (known: forward, max_output)"),
        ("[journal]\nmax_output = 'much'", "[journal] max_output much: not a size"),
        ("[journal]\nmax_output = -1", "[journal] max_output must be a size such as"),
        ("[journal]\nmax_output = true", "[journal] max_output must be a size, not True"),
        ("[hooks]\nstoped = ['x']", "unknown key 'hooks.stoped' (known: after, env, finished, "),
        ("[hooks]\nstopped = 'page me'", "hooks.stopped must be the list of a command's words"),
        ("[hooks]\nstopped = []", "hooks.stopped must be the list of a command's words"),
        ("[hooks]\nstopped = ['./page']", "hooks.stopped: './page' is a relative path"),
        ("[hooks]\nstopped = ['~no-such-user/p']", "hooks.stopped: '~no-such-user/p' has no home"),
        ("[hooks]\ntimeout = '10m'", "hooks.timeout must be more than 0 and at most 5m"),
        ("[hooks]\ntimeout = 5", "hooks.timeout must be a duration such as '30s', not 5"),
        ("[hooks]\nafter = 'soon'", "hooks.after soon: not a duration"),
        ("[hooks]\nenv = ['A=1']", "hooks.env must be a list of names of variables"),
        ("[notify]\nurl = 'x'", "unknown key 'notify.url' (known: after, on, timeout, urls)"),
        ("[notify]\non = ['stopped']", "notify.urls must be a list of 1 to 8 sources"),
        ("[notify]\nurls = ['@prompt']", "so name where it is kept (@env:, @file:, @keyring:"),
        ("[notify]\nurls = ['@env:A']\non = ['ended']", "notify.on must be a list of stopped, "),
        ("redact = 1", "redact must be a table"),
        ("[redact]\npattern = []", "unknown key 'redact.pattern' (known: patterns)"),
        ("[redact]\npatterns = 'x'", "redact.patterns must be a list"),
        ("[redact]\npatterns = [1]", "redact.patterns: 1 is not a string"),
        ("[redact]\npatterns = ['(']", "is not a regular expression"),
        ("[redact]\npatterns = ['x*']", "matches the empty string"),
        ("runs_dir = 3", "must be the path of a folder, not 3"),
        ("runs_dir = ''", "must be the path of a folder, not ''"),
        ("runs_dir = ['a']", "must be the path of a folder"),
        ("runs_dir = '~nobody-of-this-name/runs'", "can't be found"),
    ],
)
def test_invalid_file_refused_with_its_path(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "nbrun.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as raised:
        load(tmp_path)
    assert str(raised.value).startswith(str(tmp_path / "nbrun.toml"))
    assert why in str(raised.value)


def test_stricter_number_and_time_of_approvals_count(tmp_path: Path) -> None:
    team, near = tmp_path, tmp_path / "near"
    near.mkdir()
    (team / "nbrun.toml").write_text(
        "[policy]\napprovers = {group = 'dba', min = 2, within = '2h'}"
    )
    (near / "nbrun.toml").write_text("[policy]\napprovers = {within = 60, min = 1}")
    found = load(near)
    assert (found.approvers, found.approvals, found.approve_within) == ("dba", 2, 60.0)
    (near / "nbrun.toml").write_text("[policy]\napprovers = {min = 3}")
    found = load(near)
    assert (found.approvers, found.approvals, found.approve_within) == ("dba", 3, 7200.0)


@pytest.mark.parametrize(
    ("text", "limit"), [("'1MiB'", 2**20), ("'0'", 0), ("0", 0), ("1000", 1000)]
)
def test_max_output_read_as_size_or_number(tmp_path: Path, text: str, limit: int) -> None:
    (tmp_path / "nbrun.toml").write_text(f"[journal]\nmax_output = {text}")
    assert load(tmp_path).max_output == limit


def test_runbook_uses_file_nearest_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    book = tmp_path / "books" / "x.ipynb"
    assert load_for(book) == Config()
    (tmp_path / "desk" / "nbrun.toml").write_text("[redact]\npatterns = ['here']")
    assert load_for(book).redact_patterns == ("here",)
    (tmp_path / "books" / "nbrun.toml").write_text("[redact]\npatterns = ['there']")
    assert load_for(book).redact_patterns == ("there",)


# ── Where runs are kept ──────────────────────────────────────────────────────────────────────


def test_runs_dir_from_option_then_environment_then_file_then_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"NBRUN_RUNS_DIR": "from-environ"}
    platform = platformdirs.user_state_path("nbrun", appauthor=False) / "runs"
    assert runs_dir(None, {}) == platform
    assert runs_dir(None, {"NBRUN_RUNS_DIR": ""}) == platform
    (tmp_path / "nbrun.toml").write_text("runs_dir = 'from-file'")
    assert runs_dir(None, {}) == tmp_path / "from-file"
    assert runs_dir(None, environ) == tmp_path / "from-environ"
    assert runs_dir(Path("from-option"), environ) == tmp_path / "from-option"


def test_invalid_file_does_not_matter_with_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nbrun.toml").write_text("nonsense")
    assert runs_dir(tmp_path / "runs", {}) == tmp_path / "runs"
    with pytest.raises(UsageError):
        runs_dir(None, {})


# ── which runbooks may run ───────────────────────────────────────────────────────────────────────


def test_rules_about_runbooks_add_up(tmp_path: Path) -> None:
    far = configure(tmp_path, "[runbooks]\nrequire_signed = 'keys'\nrequire_commit_on = 'main'")
    near = configure(tmp_path / "sub", "[runbooks]\nrequire_signed = '/keys'")
    empty = configure(tmp_path / "sub/empty", "[runbooks]")
    assert load(empty.parent).runbook_rules == (
        SignedRule(tmp_path / "keys", far),
        CommittedRule("main", far),
        SignedRule(Path("/keys"), near),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("require_signed = true", "require_signed must be the path of a file of allowed signers"),
        ("require_commit_on = 'a..b'", "require_commit_on must be the name of a branch"),
        ("require_commit_on = ['main']", "require_commit_on must be the name of a branch"),
        ("signed = 'keys'", "unknown key 'runbooks.signed' (known: require_commit_on, "),
    ],
)
def test_wrong_rule_about_runbooks_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = configure(tmp_path, f"[runbooks]\n{text}")
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{path}: ")


def test_url_in_clear_text_is_refused_and_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "nbrun.toml").write_text("[notify]\nurls = ['slack://s3cret']")
    with pytest.raises(UsageError, match="an apprise URL contains secrets") as refused:
        load(tmp_path)
    assert "s3cret" not in str(refused.value)


def test_hooks_and_services_of_all_files_add_up(tmp_path: Path) -> None:
    (tmp_path / "near").mkdir()
    trust_file(configure(tmp_path, "[hooks]\nstopped = ['a', '-x']\nafter = '0s'"))
    trust_file(
        configure(
            tmp_path / "near",
            "[hooks]\nstopped = ['~/b']\nfinished = ['c']\nenv = ['TOKEN']\ntimeout = '2s'\n"
            "[notify]\nurls = ['@env:CHAT']\non = ['finished']",
        )
    )
    found = load(tmp_path / "near")
    found.check_trust()
    assert [(hook.on, hook.words, hook.after, hook.timeout) for hook in found.hooks] == [
        ("stopped", ("a", "-x"), 0.0, 30.0),
        ("stopped", (str(Path.home() / "b"),), 30.0, 2.0),
        ("finished", ("c",), 30.0, 2.0),
    ]
    assert [(each.url, each.on) for each in found.notify] == [("@env:CHAT", ("finished",))]


@pytest.mark.parametrize("text", ["[hooks]\nstopped = ['a']", "[notify]\nurls = ['@env:CHAT']"])
def test_hook_or_service_of_an_untrusted_file_refuses_a_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "near").mkdir()
    configure(tmp_path, text)
    trust_file(configure(tmp_path / "near", "[hooks]\nfinished = ['b']"))
    found = load(tmp_path / "near")
    assert [hook.words for hook in found.hooks] == [("b",)]
    assert found.notify == ()
    with pytest.raises(UsageError, match="you have not trusted this file"):
        found.check_trust()


def trust_file(path: Path) -> None:
    trust.add(path, sha256(path.read_bytes()).hexdigest())
