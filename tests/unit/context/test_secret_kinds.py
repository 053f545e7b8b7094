"""Kinds of secrets, each made at run time from random signs, and what only looks like one."""

from __future__ import annotations

import base64
import random
import string

import pytest

from loom_jupyter.context.scan import _told_by_name
from loom_jupyter.secret_patterns import RULES
from loom_jupyter.secrets import MASK, masked

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + "234567"
B64 = ALNUM + "+/"
URL = ALNUM + "-_"
LOWER = string.ascii_lowercase + string.digits


def made(alphabet: str, length: int, seed: int = 5) -> str:
    """Return signs by chance, a letter and a digit among the first of them."""
    rnd = random.Random(f"{alphabet}{length}{seed}")
    text = "".join(rnd.choice(alphabet) for _ in range(length))
    return text[:1] + "a7" * ("a" in alphabet) + text[1 + 2 * ("a" in alphabet) :]


def uuid() -> str:
    return "-".join(made(HEX, n, n) for n in (8, 4, 4, 4, 12))


AWS_ID = "AKIA" + made(UPPER, 16)
AWS_SECRET = made(B64, 40)
BASIC = base64.b64encode(f"deploy:{made(ALNUM, 14)}".encode()).decode()
WORD = "Tr0ub4" + "dor&3"
# Name: (the secret, the text around it).
KINDS: dict[str, tuple[str, str]] = {
    "aws id": (AWS_ID, 'id = "{}"'),
    "aws secret in an ini file": (AWS_SECRET, "aws_secret_access_key = {}"),
    "aws secret in an environment": (AWS_SECRET, "export AWS_SECRET_ACCESS_KEY={}"),
    "aws secret in python": (AWS_SECRET, 'boto3.client("s3", aws_secret_access_key="{}")'),
    "aws secret in json": (AWS_SECRET, '{{"SecretAccessKey": "{}"}}'),
    "aws secret in yaml": (AWS_SECRET, "  secretAccessKey: {}"),
    "aws secret in terraform": (AWS_SECRET, '  secret_key = "{}"'),
    "aws secret in a table": (AWS_SECRET, AWS_ID + ",{}"),
    "aws session": (made(B64, 120), "aws_session_token = {}"),
    "github": ("gh" "p_" + made(ALNUM, 36), "{}"),
    "github app": ("gh" "s_" + made(ALNUM, 36), "token {}"),
    "github fine": ("github" "_pat_" + made(ALNUM, 59), "{}"),
    "github in an address": ("gh" "o_" + made(ALNUM, 36), "https://{}@github.com/a/b"),
    "gitlab": ("glp" "at-" + made(URL, 20), "PRIVATE-TOKEN: {}"),
    "gitlab runner": ("glr" "t-" + made(URL, 20), "{}"),
    "slack": ("xo" "xb-123456789012-1234567890123-" + made(ALNUM, 24), "{}"),
    "slack webhook": ("T0" + made(UPPER, 9) + "/B0" + made(UPPER, 9) + "/" + made(ALNUM, 24), "https://hooks.slack.com/services/{}"),
    "discord": ("M" + made(ALNUM, 24) + "." + made(ALNUM, 6) + "." + made(URL, 38), 'bot.run("{}")'),
    "discord webhook": (made(URL, 68), "https://discord.com/api/webhooks/112233445566778899/{}"),
    "telegram": ("1234567890:AA" + made(URL, 33), "{}"),
    "stripe": ("sk_" "live_" + made(ALNUM, 24), "{}"),
    "stripe webhook": ("whs" "ec_" + made(ALNUM, 32), "{}"),
    "square": ("sq0" "atp-" + made(URL, 22), "{}"),
    "shopify": ("shp" "at_" + made(HEX, 32), "{}"),
    "openai": ("sk-" "proj-" + made(URL, 60), "{}"),
    "openai, old": ("sk-" + made(ALNUM, 48), "{}"),
    "anthropic": ("sk-" "ant-api03-" + made(URL, 90), "{}"),
    "openrouter": ("sk-" "or-v1-" + made(HEX, 64), "{}"),
    "groq": ("gs" "k_" + made(ALNUM, 52), "{}"),
    "perplexity": ("ppl" "x-" + made(ALNUM, 48), "{}"),
    "replicate": ("r8" "_" + made(ALNUM, 37), "{}"),
    "hugging face": ("h" "f_" + made(ALNUM, 34), 'login("{}")'),
    "wandb": (made(HEX, 40), "WANDB_API_KEY={}"),
    "google": ("AI" "za" + made(URL, 35), "{}"),
    "google oauth": ("GOC" "SPX-" + made(URL, 28), '"client_secret": "{}"'),
    "google access": ("ya" "29." + made(URL, 60), "{}"),
    "azure storage": (made(B64, 86) + "==", "AccountName=a;AccountKey={};EndpointSuffix=x"),
    "azure client": (made(ALNUM, 3) + "8Q~" + made(ALNUM, 34), "AZURE_CLIENT_SECRET={}"),
    "azure sas": (made(ALNUM, 44), "https://a.blob.core.windows.net/c?sv=2022&sig={}"),
    "databricks": ("da" "pi" + made(HEX, 32), "token = {}"),
    "databricks in python": ("da" "pi" + made(HEX, 32) + "-2", 'sql.connect(access_token="{}")'),
    "digitalocean": ("dop" "_v1_" + made(HEX, 64), "{}"),
    "heroku": ("HRK" "U-" + made(URL, 60), "{}"),
    "heroku, old": (uuid(), "HEROKU_API_KEY={}"),
    "heroku, in python": (uuid(), 'heroku_key = "{}"'),
    "vault": ("hv" "s." + made(ALNUM, 90), "VAULT_TOKEN={}"),
    "vault, old": ("s." + made(ALNUM, 24), "VAULT_TOKEN={}"),
    "terraform cloud": (made(ALNUM, 14) + ".atlas" "v1." + made(ALNUM, 67), 'token = "{}"'),
    "doppler": ("dp" ".pt." + made(ALNUM, 43), "{}"),
    "tailscale": ("ts" "key-auth-" + made(ALNUM, 12) + "-" + made(ALNUM, 32), "{}"),
    "netlify": ("nf" "p_" + made(ALNUM, 36), "{}"),
    "supabase": ("sb" "p_" + made(HEX, 40), "{}"),
    "planetscale": ("pscale" "_pw_" + made(ALNUM, 43), "{}"),
    "npm": ("np" "m_" + made(ALNUM, 36), "//registry/:_authToken={}"),
    "pypi": ("py" "pi-AgEIcHlwaS5vcmc" + made(URL, 120), "{}"),
    "rubygems": ("ruby" "gems_" + made(HEX, 48), "{}"),
    "crates.io": ("c" "io" + made(ALNUM, 32), 'token = "{}"'),
    "docker": ("dck" "r_pat_" + made(URL, 27), "{}"),
    "docker config": (BASIC, '{{"auths": {{"x": {{"auth": "{}"}}}}}}'),
    "sendgrid": ("S" "G." + made(ALNUM, 22) + "." + made(ALNUM, 43), "{}"),
    "twilio": ("S" "K" + made(HEX, 32), "{}"),
    "mailchimp": (made(HEX, 32) + "-us12", "{}"),
    "mailgun": ("ke" "y-" + made(HEX, 32), "{}"),
    "new relic": ("NR" "AK-" + made(ALNUM, 27).upper(), "{}"),
    "datadog": (made(HEX, 32), "DD_API_KEY={}"),
    "grafana": ("gl" "sa_" + made(ALNUM, 32) + "_" + made(HEX, 8), "{}"),
    "sentry": ("sntr" "ys_" + made(B64, 80), "{}"),
    "sentry dsn": (made(HEX, 32), "https://{}@o1.ingest.example.org/1"),
    "linear": ("lin" "_api_" + made(ALNUM, 40), "{}"),
    "notion": ("nt" "n_" + made(ALNUM, 46), "{}"),
    "airtable": ("pa" "t" + made(ALNUM, 14) + "." + made(HEX, 64), "{}"),
    "figma": ("fig" "d_" + made(URL, 40), "{}"),
    "postman": ("PM" "AK-" + made(HEX, 24) + "-" + made(HEX, 34), "{}"),
    "atlassian": ("ATA" "TT3" + made(URL, 180), "{}"),
    "age": ("AGE-SECRET" "-KEY-1" + made(UPPER, 58), "{}"),
    "jwt": ("ey" "JhbGciOiJIUzI1NiJ9." + "ey" "J" + made(URL, 40) + "." + made(URL, 43), "{}"),
    "bearer header": (made(ALNUM, 40), "curl -H 'Authorization: Bearer {}' https://example.org"),
    "bearer in python": (made(URL, 64), 'headers = {{"Authorization": "Bearer {}"}}'),
    "basic header": (BASIC, "Authorization: Basic {}"),
    "token header": (made(HEX, 40), 'headers={{"Authorization": "Token {}"}}'),
    "key header": (made(HEX, 32), 'curl -H "X-Api-Key: {}" https://example.org'),
    "curl user": (WORD, "curl -u deploy:{} https://example.org"),
    "password in python": (WORD, 'password = "{}"'),
    "password as an argument": (WORD, "connect(user='me', password='{}')"),
    "password with a type": (WORD, 'password: str = "{}"'),
    "password in a dictionary": (WORD, 'settings = {{"password": "{}"}}'),
    "password in an item": (WORD, "config['DB_PASSWORD'] = '{}'"),
    "password that is a word": ("sword" "fish", 'password = "{}"'),
    "password with digits": ("hun" "ter2", "passwd = '{}'"),
    "password in yaml": (WORD, "  password: {}"),
    "password in an ini file": ("s3cr" "3t99w0rd", "password = {}"),
    "password in an environment": ("s3cr" "et99word", "export DB_PASSWORD={}"),
    "password in properties": (WORD, "spring.datasource.password={}"),
    "password in xml": (WORD.replace("&", "!"), "<password>{}</password>"),
    "password in a connection string": (WORD, "Server=db;User Id=me;Password={};"),
    "password of a command": (WORD, "tool --password {} run"),
    "password in go": (WORD, 'password := "{}"'),
    "password in ruby": (WORD, ':password => "{}"'),
    "password in javascript": (WORD, "const dbPassword = '{}';"),
    "passphrase": (WORD, 'passphrase="{}"'),
    "default of a variable": (made(ALNUM, 30), 'os.environ.get("API_TOKEN", "{}")'),
    "django": ("django-insecure-" + "#k3$" + made(LOWER, 40), "SECRET_KEY = '{}'"),
    "flask": (made(HEX, 48), 'app.config["SECRET_KEY"] = "{}"'),
    "flask bytes": (made(ALNUM, 24), "SECRET_KEY = b'{}'"),
    "rails": (made(HEX, 128), "secret_key_base: {}"),
    "client secret": (made(ALNUM, 32), 'client_secret="{}"'),
    "api key": (made(ALNUM, 32), 'API_KEY = "{}"'),
    "api key in camel case": (made(ALNUM, 32), 'const apiKey = "{}";'),
    "key in an address": (made(HEX, 32), "https://example.org/v1?api_key={}&q=1"),
    "address of a database": (WORD.replace("&", "!"), 'URL = "postgresql+psycopg://me:{}@db.example.org:5432/x"'),
    "address, a word": ("sword" "fish", "redis://:{}@cache:6379/0"),
    "address of a proxy": (WORD.replace("&", "!"), "https_proxy=http://me:{}@proxy:8080"),
    "mongodb": (WORD.replace("&", "!"), "mongodb+srv://me:{}@cluster0.example.net"),
    "vercel": ("vc" "p_" + made(ALNUM, 56), "{}"),
    "cloudflare": ("cfu" "t_" + made(ALNUM, 40), "{}"),
    "elevenlabs": ("s" "k_" + made(HEX, 48), "{}"),
    "together": ("tg" "p_v1_" + made(URL, 43), "{}"),
    "cerebras": ("cs" "k-" + made(LOWER, 48), "{}"),
    "jina": ("jin" "a_" + made(HEX, 32) + made(URL, 28), "{}"),
    "firecrawl": ("f" "c-" + made(HEX, 32), "{}"),
    "e2b": ("e2" "b_" + made(HEX, 40), "{}"),
    "modal": ("a" "k-" + "Q" + made(ALNUM, 21), "{}"),
    "runpod": ("rp" "a_" + made(ALNUM, 46).upper(), "{}"),
    "confluent": ("cf" "lt" + made(B64, 60), "{}"),
    "asana": ("2/1234567890123456/6543210987654321:" + made(HEX, 32), "{}"),
    "neptune": ("eyJhcGlf" "YWRkcmVzcyI" + made(ALNUM, 80), "{}"),
    "okta header": ("00" + made(URL, 40), "Authorization: SSWS {}"),
    "key scheme header": (made(ALNUM, 40), "Authorization: ApiKey {}"),
    "subscription header": (made(ALNUM, 40), "Ocp-Apim-Subscription-Key: {}"),
    "key of an app": (made(HEX, 40), "DD_APP_KEY={}"),
    "key of an admin": (made(HEX, 32), "ALGOLIA_ADMIN_KEY={}"),
    "key in camel case": (made(HEX, 64), 'encryptionKey: "{}"'),
    "credentials": (made(ALNUM, 32), 'credentials = "{}"'),
    "short name": (WORD, 'pw = "{}"'),
    "passcode": (WORD, 'passcode = "{}"'),
    "password in r": (WORD, 'password <- "{}"'),
    "password in a setter": (WORD, 'source.setPassword("{}");'),
    "password in c": (WORD, '#define DB_PASSWORD "{}"'),
    "password in rust": (WORD, 'let password: &str = "{}";'),
    "password in c sharp": (WORD, 'string password = @"{}";'),
    "password between three quotes": (WORD, 'password = """{}"""'),
    "password with a quote": ('Tr0u"b4dor', "password = '{}'"),
    "password in a secret string": (WORD, "Settings(password=SecretStr('{}'))"),
    "password that is a default": (WORD, "parser.add_argument('--password', default='{}')"),
    "password of a field": (WORD, "password: str = Field(default='{}')"),
    "password in a pair": (WORD, "requests.get(url, auth=('me', '{}'))"),
    "password of a login": (WORD, 'server.login("me@example.org", "{}")'),
    "password of two names": (WORD, 'username, password = "me", "{}"'),
    "password in a dockerfile": (WORD, "ENV DB_PASSWORD {}"),
    "password in an xml pair": (WORD.replace("&", "!"), '<add key="Password" value="{}" />'),
    "password in a list of variables": (WORD, "- name: DB_PASSWORD\n  value: {}"),
    "password in terraform": (WORD, 'variable "db_password" {{\n  default = "{}"\n}}'),
    "password in netrc": (WORD, "machine example.org login me password {}"),
    "password in sql": (WORD, "CREATE USER me WITH PASSWORD '{}';"),
    "password of mysql": ("s3cr3t99w0rd", "mysql -u root -p{} shop"),
    "password of sshpass": ("s3cr3t99w0rd", "sshpass -p {} ssh me@host"),
    "password of docker": ("s3cr3t99w0rd", "docker login -u me -p {} example.org"),
    "password of a proxy": ("s3cr3t99w0rd", "curl --proxy-user me:{} http://example.org"),
    "key as a curl user": (made(HEX, 32), "curl -u {}: http://example.org"),
    "environment of a notebook": (made(ALNUM, 32), "%env OPENAI_API_KEY {}"),
    "address, a password with @": ("p@ss" "9word", "postgres://me:{}@db.example.org/x"),
}  # fmt: skip

PLAIN = [
    'password = os.environ["DB_PASSWORD"]',
    "password = os.environ['DB_PASSWORD']",
    'password = getpass.getpass("Password: ")',
    "password: str",
    "password: str = Field(..., min_length=8)",
    "password: SecretStr | None = None",
    "def login(user, password=None, token=None): pass",
    "if not password or password == '': raise ValueError('password missing')",
    "token = next(tokens)",
    "token = tokens[index2]",
    "token = self.lexer.token2()",
    "token_type = 'Keyword.Constant'",
    "tokenizer = AutoTokenizer.from_pretrained('bert-base-uncased-v2')",
    "secret = base64.b64decode(data)",
    "secret_name = 'projects/123/secrets/my-secret-v2'",
    "password = 'changeme'",
    "password = 'password'",
    'password: "<your password>"',
    "API_KEY = '<your key>'",
    'api_key = "YOUR_API_KEY_123"',
    "API_KEY=your-api-key-here1",
    "token = 'xxxxxxxx-xxxx1'",
    "password: ${DB_PASSWORD}",
    "password: {{ vault_password }}",
    "DB_PASSWORD=$(cat /run/secrets/db1)",
    'password = f"{prefix}{name2}"',
    "password = '%(password)s'",
    'password = "Enter the new password, 8 characters"',
    '"password": {"type": "string", "minLength": 8}',
    "<label for='password'>Password</label>",
    "'eos_token': '<|endoftext|>', 'pad_token': '[PAD]'",
    "d41d8cd98f00b204e9800998ecf8427e  empty.txt",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    '"integrity": "sha512-' + made(B64, 86) + '=="',
    'hash = "' + made(HEX, 64) + '"',
    "commit f96839b5684a078bd9eb8912b2355fd6a5d4c0ff",
    "uses: actions/checkout@" + made(HEX, 40),
    "550e8400-e29b-41d4-a716-446655440000",
    '"id": "' + uuid() + '"',
    '"image/png": "iVBORw0KGgo' + made(B64, 300) + '"',
    "data:image/png;base64,iVBORw0KGgo" + made(B64, 200),
    "class VeryLongNameOfAnHttpClientFactoryForTests2: pass",
    "very_long_identifier_with_many_parts_and_a_number_2 = another_long_identifier_of_this_module_3",
    "https://example.org/some/long/path-with-2-digits/and_more/1234567890/abcdefghij",
    'url = f"postgres://{user}:{password}@{host}/db"',
    "postgresql://user:password@localhost:5432/db",
    "git clone https://git@example.org/a/b.git",
    "public_key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + made(B64, 43) + "'",
    "cache_key = 'user:1234:profile:v2'",
    "primary_key = 'customer_id_2'",
    "key = 'temperature_2m_max'",
    "AWS_SECRET_ACCESS_KEY = os.getenv('AWS_SECRET_ACCESS_KEY')",
    "secret_key = settings.SECRET_KEY",
    "PASSWORD_HASHERS = ['django.contrib.auth.hashers.Argon2PasswordHasher']",
    "basic authentication is described in RFC7617",
    "the bearer of this token2 is trusted",
    "Authorization: Bearer <token>",
    "Authorization: Bearer $TOKEN",
    "sk-learn-contrib-example-package-name",
    "mask-rcnn-resnet50-fpn-v2-checkpoint-3 = model",
    "assert token == expected_token2",
    "passwords = load('words.txt')",
    "password = prompt('Password: ') or ask('Enter it')",
    "- name: DB_PASSWORD\n  valueFrom: secretKeyRef2",
    "parser.add_argument('--password', default=None, help='the password of user 1')",
    "widget.setPassword(field.text2())",
    "session.auth = (user, password)",
    "git commit -p2 docker login -p $TOKEN1",
    "%env OPENAI_API_KEY",
    "ENV DB_PASSWORD=$PASSWORD2",
    "forgot_password: Callable[[str], None] = reset2",
    "passed = bypass(compass2)",
    '"password": "Invalid username or password"',
    "=" * 79,
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_of_this_kind_is_masked_and_nothing_around_it(kind: str) -> None:
    secret, around = KINDS[kind]
    text = f"import this\n{around.format(secret)}\nx = 1\n"
    out = masked(text)
    assert MASK in out
    assert secret not in out
    assert secret[-8:] not in out
    assert out.startswith("import this\n")
    assert out.endswith("\nx = 1\n")
    assert out.count("\n") == text.count("\n")
    assert masked(out) == out


@pytest.mark.parametrize("text", PLAIN)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert masked(f"{text}\n") == f"{text}\n"
    assert masked(f"    {text}") == f"    {text}"


def test_an_encrypted_file_is_masked_line_by_line() -> None:
    body = "\n".join(made(HEX, 80, n) for n in range(5))
    text = f"password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n{body}\nafter: 1\n"
    out = masked(text)
    assert made(HEX, 80, 3) not in out
    assert out.endswith("\nafter: 1\n")
    assert out.count("\n") == text.count("\n")


def test_a_secret_behind_an_escaped_line_end_is_masked() -> None:
    secret = KINDS["github"][0]
    assert secret not in masked('{"source": "x = 1\\n' + secret + '\\n"}')


def test_every_rule_says_where_its_format_is_documented() -> None:
    assert all("." in rule.source and rule.marks for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".env",
            ".env.local",
            "prod.env",
            ".envrc",
            ".netrc",
            "_netrc",
            ".npmrc",
            ".pypirc",
            ".pgpass",
            ".htpasswd",
        ),
        *(
            ".git-credentials",
            ".dockercfg",
            ".docker/config.json",
            ".kube/config",
            "kubeconfig",
            "prod.kubeconfig.yaml",
        ),
        *("kubeconfig-prod", "client_secret.json", "client_secret_123-abc.apps.json", "client_secrets.json"),
        *(
            "service-account.json",
            "service_account_prod.json",
            "my-service-account.json",
            "x-firebase-adminsdk-1.json",
        ),
        *(
            ".my.cnf",
            ".cargo/credentials.toml",
            ".cargo/credentials",
            "terraform.tfstate",
            "terraform.tfstate.backup",
        ),
        *(
            "terraform.tfstate.1700000000.backup",
            "prod.tfvars",
            "prod.auto.tfvars",
            "prod.tfvars.json",
            "id_rsa",
            "id_ed25519",
        ),
        *(
            "id_ed25519_work",
            "id_rsa.bak",
            "a.kdbx",
            "a.p12",
            "a.pfx",
            "a.jks",
            "a.keystore",
            "a.ppk",
            "a.pem",
            "a.key",
        ),
        *("server.key.bak", "credentials.json", "token.json", "secrets.yaml", "secrets.prod.yml", ".vault_pass"),
        *(
            ".vault_pass.txt",
            ".vault-password",
            ".vault-token",
            ".Renviron",
            ".boto",
            ".s3cfg",
            "rclone.conf",
            "auth.json",
        ),
        *(
            ".databrickscfg",
            ".snowsql/config",
            "connections.toml",
            "local.settings.json",
            ".streamlit/secrets.toml",
        ),
        *(".aws/credentials", ".aws/config", ".m2/settings.xml", "gcloud/application_default_credentials.json"),
        *(".bash_history", "logins.json", "kaggle.json", ".kaggle/access_token"),
    ],
)
def test_a_file_of_this_name_is_not_read(name: str) -> None:
    assert _told_by_name(name) == "may hold secrets"
    assert _told_by_name(f"a/b/{name}") == "may hold secrets"


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".env.example",
            ".env.sample",
            "client_secret.example.json",
            "terraform.tfvars.example",
            "config",
            "config.json",
        ),
        *(
            "settings.xml",
            "secrets.py",
            "kubeconfig.py",
            "vault_password.py",
            "id_rsa.pub",
            "credentials.py",
            "tokens.py",
        ),
        *("tokenizer.json", "account.json", "accounts.json", "service_account.py", "secret.py", "docs/secrets.md"),
        *("environment.yml", "history.py", "profiles.yml", "auth.py", "main.tf", "variables.tf", "identity.json"),
    ],
)
def test_a_file_of_this_name_is_read(name: str) -> None:
    assert _told_by_name(name) == ""
