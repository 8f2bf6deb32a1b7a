"""Text that looks like a secret, and text that only resembles it."""

import pytest

from nbrun.runbook.secret_patterns import lines_with_secrets


def is_found(line: str, *, shell: bool = False) -> bool:
    return lines_with_secrets(f"a = 1\n{line}", shell=shell) == [2]


@pytest.mark.parametrize(
    "line",
    [
        "password = 'correct horse'",
        "DB_PASSWORD: str = 'hunter2'",
        "secret: Optional[str] = 'hunter2'",
        "apiKey2 = 'hunter2'",
        "accountKey = 'hunter2+/=='",
        "{'password': 'hunter2', 'user': 'a'}",
        'os.environ["API_TOKEN"] = "hunter2"',
        "connect(host, password='hunter2')",
        "password <- 'hunter2'",
        "CREATE LOGIN a WITH PASSWORD = 'Str0ng!Pass'",
        "%env DB_SECRET=hunter2",
        "%env DB_SECRET hunter2",
        "%set_env API_KEY hunter2",
        "!docker run -e SA_PASSWORD=Str0ng!Pass -p 1433:1433 mssql",
        "!docker run -e 'SA_PASSWORD=Str0ng!Pass' mssql",
        "out = !mysql --password hunter2 -e 'select 1'",
        "!mysql --password='hunter2'",
        "subprocess.run('docker run -e SA_PASSWORD=Str0ng!Pass mssql')",
        "conn = 'Server=db;User=sa;Password=Str0ng!Pass;'",
        "get('https://api/?access_token=0a1b2c3d')",
        "engine = create_engine('postgres://app:hunter2@db/app')",
        "key = 'AKIAIOSFODNN7ABCDEFG'",
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_secret_is_found(line: str) -> None:
    assert is_found(line)


@pytest.mark.parametrize(
    "line",
    [
        # Files
        "token_file = '/var/run/secrets/token'",
        "password = '/run/secrets/db_password'",
        "private_key = '~/.ssh/id_rsa'",
        "secret = 'credentials.json'",
        "!kubectl create --token-file token.txt",
        # Placeholders
        "password = '<password>'",
        "password = 'your-password-here'",
        "password = 'YOURPASSWORD'",
        "password = 'changeme'",
        "password = 'password'",
        "token = 'xxxxxxxx'",
        "token = '********'",
        "token = '{{ token }}'",
        "token = f'Bearer {value}'",
        "password = '%(password)s'",
        "key = 'AKIAIOSFODNN7EXAMPLE'",
        "!docker run -e SA_PASSWORD=<YourStrong!Passw0rd> mssql",
        "url = 'postgres://user:password@localhost/app'",
        # Lookups
        "token = os.environ['API_TOKEN']",
        "token = 'API_TOKEN'",
        "secret = 'prod/db-password'",
        "secret_name = 'hunter2-hunter2'",
        "secretId = 'hunter2-hunter2'",
        "password = 'vault:secret/data/db#password'",
        "password = 'op://ops/db/password'",
        "secret = 'arn:aws:secretsmanager:eu-west-1:1:secret:db'",
        "password = getpass('Password: ')",
        "token = client.get(password=password)",
        "!mysql --password=$PASSWORD --token {token}",
        "!mysql --password $(cat password)",
        "%env API_TOKEN=$token",
        "!docker build --secret id=token,src=token.txt .",
        "!docker login --password-stdin registry",
        "url = f'postgres://{user}:{password}@db/app'",
        # Other things
        "tokenizer = 'bert-base-uncased'",
        "pad_token = '<|endoftext|>'",
        "max_tokens = '100000'",
        "token_type = 'urn:ietf:params'",
        "password_prompt = 'hunter2 hunter2'",
        "secretary = 'Jane Doe'",
        "if token == 'hunter2-hunter2': pass",
        "print('password= ' + password)",
        "password=read_password()",
    ],
)
def test_text_that_is_no_secret_is_not_found(line: str) -> None:
    assert not is_found(line)


def test_unquoted_secret_is_found_only_where_a_shell_reads_it() -> None:
    assert is_found("export TOKEN=hunter2", shell=True)
    assert not is_found("connect(password=hunter2)")


@pytest.mark.parametrize(
    "piece", ["a-", "a.", "password", "password=", "'", "<", "{", "a://b", "x/"]
)
def test_long_hostile_line_takes_no_time(piece: str) -> None:
    lines_with_secrets(piece * 100_000, shell=True)
