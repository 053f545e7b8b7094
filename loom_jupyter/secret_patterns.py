"""What keys and tokens look like, as the services that give them out document it.

A rule is a name, text without which it cannot match, a pattern, and where the format is documented. Patterns name
the prefix by which a service marks its tokens; what has no such mark is told by the name that it is assigned to
(`secrets`). Nothing is ever verified over a network.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import NamedTuple


class Rule(NamedTuple):
    """A kind of token.

    Attributes
    ----------
    marks
        Text of which some is part of every token of this kind, or stands next to it.
    source
        Page that documents the format, or the service that does.
    """

    name: str
    marks: tuple[str, ...]
    pattern: str
    source: str


RULES = (
    Rule("AWS access key id", ("AKIA", "ASIA", "ABIA", "ACCA"), r"A(?:KI|SI|BI|CC)A[A-Z2-7]{16}",
         "docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"),
    Rule("AWS secret key next to its id", ("AKIA", "ASIA"),
         r"A[KS]IA[A-Z2-7]{16}[\"',;:|\s]{1,8}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
         "docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html"),
    Rule("Amazon Bedrock", ("ABSK",), r"ABSK[A-Za-z0-9+/]{100,}", "docs.aws.amazon.com/bedrock"),
    Rule("GitHub", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{30,}",
         "github.blog/2021-04-05-behind-githubs-new-authentication-token-formats"),
    Rule("GitHub, fine-grained", ("github_pat_",), r"github_pat_[A-Za-z0-9_]{30,}", "docs.github.com"),
    Rule("GitLab", ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-",
         "gloas-"),
         r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas)-[A-Za-z0-9_.-]{20,}",
         "docs.gitlab.com/security/tokens"),
    Rule("Bitbucket and Atlassian", ("ATATT3", "ATCTT3", "ATBB"), r"AT(?:ATT3|CTT3|BB)[A-Za-z0-9_=+/-]{24,}",
         "support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account"),
    Rule("Slack", ("xox", "xapp-"), r"xox[abceoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{30,}",
         "docs.slack.dev/authentication/tokens"),
    Rule("Slack webhook", ("hooks.slack.com",),
         r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{20,}",
         "docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"),
    Rule("Discord bot", (".",), r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,40}",
         "docs.discord.com/developers/reference"),
    Rule("Discord webhook", ("/api/webhooks/",), r"discord(?:app)?\.com/api/webhooks/\d+/[A-Za-z0-9_-]{30,}",
         "docs.discord.com/developers/resources/webhook"),
    Rule("Telegram bot", (":AA",), r"\d{8,10}:AA[A-Za-z0-9_-]{32,34}", "core.telegram.org/bots/features"),
    Rule("Teams webhook", ("webhook.office.com",), r"webhook\.office\.com/webhookb2/[A-Za-z0-9@/-]{40,}",
         "learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors"),
    Rule("Stripe", ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"),
         r"(?:[rs]k_(?:live|test)_|whsec_)[A-Za-z0-9+/]{16,}", "docs.stripe.com/keys"),
    Rule("Square", ("sq0", "EAAA"), r"sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{22,}|EAAA[A-Za-z0-9_-]{60}",
         "developer.squareup.com/docs/build-basics/access-tokens"),
    Rule("Shopify", ("shpat_", "shpca_", "shppa_", "shpss_"), r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}",
         "shopify.dev/docs/apps/build/authentication-authorization"),
    Rule("Braintree", ("access_token$",), r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}",
         "developer.paypal.com/braintree/docs"),
    Rule("Plaid", ("access-",), r"access-(?:sandbox|development|production)-[a-f0-9-]{36}",
         "plaid.com/docs/api/tokens"),
    Rule("OpenAI", ("sk-proj-", "sk-svcacct-", "sk-admin-", "T3BlbkFJ"),
         r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}",
         "platform.openai.com/docs/api-reference/authentication"),
    Rule("keys that begin with sk-", ("sk-",), r"sk-(?:[A-Za-z0-9]{32,64}|or-v1-[a-f0-9]{64}|lf-[a-f0-9-]{36})",
         "platform.openai.com, openrouter.ai/docs, api-docs.deepseek.com"),
    Rule("Anthropic", ("sk-ant-",), r"sk-ant-[A-Za-z0-9_-]{20,}", "docs.claude.com/en/api/overview"),
    Rule("Groq", ("gsk_",), r"gsk_[A-Za-z0-9]{40,}", "console.groq.com/docs"),
    Rule("xAI", ("xai-",), r"xai-[A-Za-z0-9_-]{70,}", "docs.x.ai"),
    Rule("Perplexity", ("pplx-",), r"pplx-[A-Za-z0-9]{40,}", "docs.perplexity.ai"),
    Rule("Replicate", ("r8_",), r"r8_[A-Za-z0-9]{37,}", "replicate.com/docs/topics/security/api-tokens"),
    Rule("NVIDIA", ("nvapi-",), r"nvapi-[A-Za-z0-9_-]{40,}", "docs.api.nvidia.com"),
    Rule("LangSmith", ("lsv2_",), r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{8,}", "docs.langchain.com/langsmith"),
    Rule("Pinecone", ("pcsk_",), r"pcsk_[A-Za-z0-9_]{40,}", "docs.pinecone.io"),
    Rule("Tavily", ("tvly-",), r"tvly-[A-Za-z0-9-]{24,}", "docs.tavily.com"),
    Rule("Weights & Biases", ("wandb_v1_",), r"wandb_v1_[A-Za-z0-9_]{40,}", "docs.wandb.ai"),
    Rule("Hugging Face", ("hf_", "api_org_"), r"(?:hf_|api_org_)[A-Za-z0-9]{30,}",
         "huggingface.co/docs/hub/security-tokens"),
    Rule("Kaggle", ("KGAT_",), r"KGAT_[a-f0-9]{32}", "www.kaggle.com/docs/api"),
    Rule("Google API", ("AIza",), r"AIza[A-Za-z0-9_-]{35}", "cloud.google.com/docs/authentication/api-keys"),
    Rule("Google OAuth", ("GOCSPX-", "ya29.", "1//0"),
         r"GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[A-Za-z0-9_-]{30,}|1//0[A-Za-z0-9_-]{40,}",
         "developers.google.com/identity/protocols/oauth2"),
    Rule("Azure keys", ("AccountKey=", "SharedAccessKey="),
         r"(?:Account|SharedAccess)Key=[A-Za-z0-9+/]{40,}={0,2}",
         "learn.microsoft.com/azure/storage/common/storage-configure-connection-string"),
    Rule("Azure signed address", ("sig=",), r"(?<=[?&])sig=[A-Za-z0-9%+/]{40,}={0,2}",
         "learn.microsoft.com/azure/storage/common/storage-sas-overview"),
    Rule("Azure client secret", ("Q~",), r"[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}",
         "learn.microsoft.com/entra"),
    Rule("Azure DevOps", ("AZDO",), r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}", "learn.microsoft.com/azure/devops"),
    Rule("Databricks", ("dapi", "dose", "dkea"), r"(?:dapi|dose|dkea)[a-f0-9]{32}(?:-\d)?",
         "docs.databricks.com/dev-tools/auth/pat"),
    Rule("DigitalOcean", ("dop_v1_", "doo_v1_", "dor_v1_"), r"do[opr]_v1_[a-f0-9]{64}",
         "docs.digitalocean.com/reference/api/create-personal-access-token"),
    Rule("Heroku", ("HRKU-",), r"HRKU-[A-Za-z0-9_-]{36,}", "devcenter.heroku.com/articles/oauth"),
    Rule("Heroku, old", ("eroku", "EROKU"),
         r"(?i:heroku)[^\n]{0,30}?[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}",
         "devcenter.heroku.com/articles/authentication"),
    Rule("HashiCorp Vault", ("hvs.", "hvb.", "hvr."), r"hv[sbr]\.[A-Za-z0-9_-]{24,}",
         "developer.hashicorp.com/vault/docs/concepts/tokens"),
    Rule("HashiCorp Vault, old", ("ault", "AULT"),
         r"(?i:vault)[^\n]{0,30}?[\s\"'=:]s\.[A-Za-z0-9]{24}(?![A-Za-z0-9])",
         "developer.hashicorp.com/vault/docs/concepts/tokens"),
    Rule("Terraform Cloud", (".atlasv1.",), r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}",
         "developer.hashicorp.com/terraform/cloud-docs/users-teams-organizations/api-tokens"),
    Rule("Pulumi", ("pul-",), r"pul-[a-f0-9]{40}", "www.pulumi.com/docs"),
    Rule("Doppler", ("dp.",), r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}",
         "docs.doppler.com"),
    Rule("1Password", ("ops_eyJ",), r"ops_eyJ[A-Za-z0-9+/_-]{80,}",
         "developer.1password.com/docs/service-accounts"),
    Rule("Tailscale", ("tskey-",), r"tskey-(?:auth|api|client|scim|webhook)-[A-Za-z0-9]{8,}-[A-Za-z0-9]{16,}",
         "tailscale.com/docs/reference/key-prefixes"),
    Rule("Cloudflare origin CA", ("v1.0-",), r"v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}", "developers.cloudflare.com"),
    Rule("Fly", ("fm2_", "fm1r_", "fm1a_"), r"fm(?:2|1r|1a)_[A-Za-z0-9+/]{60,}", "fly.io/docs/security/tokens"),
    Rule("Netlify", ("nfp_",), r"nfp_[A-Za-z0-9_]{36,}", "docs.netlify.com"),
    Rule("Render", ("rnd_",), r"rnd_[A-Za-z0-9]{28,}", "render.com/docs/api"),
    Rule("Supabase", ("sbp_", "sb_secret_"), r"sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{22,}",
         "supabase.com/docs/guides/api/api-keys"),
    Rule("PlanetScale", ("pscale_",), r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,}", "planetscale.com/docs"),
    Rule("npm", ("npm_",), r"npm_[A-Za-z0-9]{36}", "docs.npmjs.com/about-access-tokens"),
    Rule("PyPI", ("pypi-A",), r"pypi-A[A-Za-z0-9_-]{50,}", "pypi.org/help"),
    Rule("RubyGems", ("rubygems_",), r"rubygems_[a-f0-9]{48}", "guides.rubygems.org"),
    Rule("crates.io", ("cio",), r"cio[A-Za-z0-9]{32}(?![A-Za-z0-9])",
         "doc.rust-lang.org/cargo/reference/registries.html"),
    Rule("NuGet", ("oy2",), r"oy2[a-z0-9]{43}(?![A-Za-z0-9])", "learn.microsoft.com/nuget"),
    Rule("Clojars", ("CLOJARS_",), r"CLOJARS_[a-z0-9]{60}", "github.com/clojars/clojars-web/wiki/Deploy-Tokens"),
    Rule("Docker Hub", ("dckr_",), r"dckr_[po]at_[A-Za-z0-9_-]{27,}", "docs.docker.com/security/access-tokens"),
    Rule("JFrog", ("AKCp", "cmVmdGtu"), r"AKCp[A-Za-z0-9]{60,}|cmVmdGtu[A-Za-z0-9]{50,}", "jfrog.com/help"),
    Rule("SendGrid", ("SG.",), r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}",
         "www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys"),
    Rule("Twilio", ("SK", "AC"), r"(?:SK|AC)[a-f0-9]{32}(?![A-Za-z0-9])", "www.twilio.com/docs/iam/api-keys"),
    Rule("Mailchimp", ("-us",), r"[a-f0-9]{32}-us\d{1,2}(?!\d)",
         "mailchimp.com/developer/marketing/guides/quick-start"),
    Rule("Mailgun", ("key-",), r"key-[a-f0-9]{32}(?![A-Za-z0-9])", "documentation.mailgun.com"),
    Rule("Brevo", ("xkeysib-", "xsmtpsib-"), r"x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}",
         "developers.brevo.com"),
    Rule("New Relic", ("NRAK-", "NRII-", "NRAA-"), r"NR(?:AK|II|AA)-[A-Za-z0-9_-]{27,}",
         "docs.newrelic.com/docs/apis/intro-apis/new-relic-api-keys"),
    Rule("Grafana", ("glsa_", "glc_"), r"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}",
         "grafana.com/docs/grafana/latest/administration/service-accounts"),
    Rule("Sentry", ("sntrys_", "sntryu_"), r"sntry[su]_[A-Za-z0-9+/=_-]{60,}",
         "docs.sentry.io/account/auth-tokens"),
    Rule("Dynatrace", ("dt0",), r"dt0[a-z]\d{2}\.[A-Z0-9]{8,24}\.[A-Z0-9]{64}", "docs.dynatrace.com"),
    Rule("SonarQube", ("sqp_", "squ_", "sqa_"), r"sq[pua]_[a-f0-9]{40}", "docs.sonarsource.com"),
    Rule("Sourcegraph", ("sgp_",), r"sgp_(?:[a-fA-F0-9]{16}_|local_)?[a-fA-F0-9]{40}", "sourcegraph.com/docs"),
    Rule("Buildkite", ("bkua_",), r"bkua_[a-f0-9]{40}", "buildkite.com/docs/apis/managing-api-tokens"),
    Rule("CircleCI", ("CCIPAT_", "CCIPRJ_"), r"CCIP(?:AT|RJ)_[A-Za-z0-9]{20,}_[a-f0-9]{40}",
         "circleci.com/docs/managing-api-tokens"),
    Rule("Linear", ("lin_",), r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}", "linear.app/developers"),
    Rule("Notion", ("secret_", "ntn_"), r"secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])|ntn_[A-Za-z0-9]{40,}",
         "developers.notion.com"),
    Rule("Airtable", ("pat",), r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}",
         "airtable.com/developers/web/api/authentication"),
    Rule("Figma", ("figd_",), r"fig[dor]_[A-Za-z0-9_-]{36,}", "developers.figma.com/docs/rest-api"),
    Rule("Postman", ("PMAK-",), r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}", "learning.postman.com"),
    Rule("Contentful", ("CFPAT-",), r"CFPAT-[A-Za-z0-9_-]{43}", "www.contentful.com/developers/docs"),
    Rule("HubSpot", ("pat-",), r"pat-(?:na|eu|ap)\d-[a-f0-9-]{36}", "developers.hubspot.com"),
    Rule("Dropbox", ("sl.",), r"sl\.(?:u\.)?[A-Za-z0-9_-]{130,}", "developers.dropbox.com/oauth-guide"),
    Rule("Mapbox", ("sk.eyJ",), r"sk\.eyJ[A-Za-z0-9_-]{40,}\.[A-Za-z0-9_-]{20,}",
         "docs.mapbox.com/help/dive-deeper/access-tokens"),
    Rule("Facebook", ("EAA",),
         r"EAA[A-Za-z0-9]{90,}", "developers.facebook.com/docs/facebook-login/guides/access-tokens"),
    Rule("Typeform", ("tfp_",), r"tfp_[A-Za-z0-9_-]{40,}", "www.typeform.com/developers"),
    Rule("Shippo", ("shippo_",), r"shippo_(?:live|test)_[a-f0-9]{40}", "docs.goshippo.com"),
    Rule("EasyPost", ("EZAK", "EZTK"), r"EZ[AT]K[A-Za-z0-9]{54}", "docs.easypost.com"),
    Rule("Alibaba Cloud", ("LTAI",), r"LTAI[A-Za-z0-9]{12,20}(?![A-Za-z0-9])", "www.alibabacloud.com/help"),
    Rule("Yandex Cloud", ("AQVN", "t1."),
         r"AQVN[A-Za-z0-9_-]{35,38}|t1\.[A-Z0-9a-z_-]+={0,2}\.[A-Z0-9a-z_-]{86}={0,2}",
         "yandex.cloud/docs"),
    Rule("Vercel", ("vcp_", "vci_", "vca_", "vcr_", "vck_"), r"vc[piark]_[A-Za-z0-9]{24,}",
         "vercel.com/docs/rest-api"),
    Rule("Cloudflare", ("cfut_", "cfat_", "cfk_"), r"cf(?:ut|at|k)_[A-Za-z0-9_-]{30,}",
         "developers.cloudflare.com/fundamentals/api"),
    Rule("Asana", ("1/", "2/"), r"[12]/\d{12,}(?:/\d{12,})?:[a-f0-9]{32}",
         "developers.asana.com/docs/personal-access-token"),
    Rule("ElevenLabs", ("sk_",), r"sk_[a-f0-9]{48}(?![A-Za-z0-9])",
         "elevenlabs.io/docs/api-reference/authentication"),
    Rule("Fireworks", ("fw_",), r"fw_(?=[A-Za-z]*\d)[A-Za-z0-9]{22,40}(?![A-Za-z0-9_])", "docs.fireworks.ai"),
    Rule("Together", ("tgp_v1_",), r"tgp_v1_[A-Za-z0-9_-]{40,}", "docs.together.ai"),
    Rule("Cerebras", ("csk-",), r"csk-[a-z0-9]{40,}", "inference-docs.cerebras.ai"),
    Rule("Voyage", ("pa-",), r"pa-[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])", "docs.voyageai.com"),
    Rule("Jina", ("jina_",), r"jina_[a-f0-9]{32}[A-Za-z0-9_-]{20,}", "jina.ai/reader"),
    Rule("Firecrawl", ("fc-",), r"fc-[a-f0-9]{32}(?![A-Za-z0-9])", "docs.firecrawl.dev"),
    Rule("E2B", ("e2b_",), r"e2b_[a-f0-9]{40}", "e2b.dev/docs"),
    Rule("Modal", ("ak-", "as-"), r"a[ks]-(?=[A-Za-z]*[A-Z])[A-Za-z0-9]{22}(?![A-Za-z0-9_-])",
         "modal.com/docs/reference/modal.config"),
    Rule("RunPod", ("rpa_",), r"rpa_[A-Z0-9]{30,}", "docs.runpod.io"),
    Rule("Neptune", ("eyJhcGlfYWRkcmVzcyI",), r"eyJhcGlfYWRkcmVzcyI[A-Za-z0-9+/]{40,}={0,2}", "docs.neptune.ai"),
    Rule("Confluent", ("cflt",), r"cflt[A-Za-z0-9+/]{56,}", "docs.confluent.io/cloud/current/security"),
    Rule("age", ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[0-9A-Z]{58}", "age-encryption.org/v1"),
    Rule("JSON web token", ("eyJ", "ewo"), r"e(?:yJ|wo)[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
         "www.rfc-editor.org/rfc/rfc7519"),
)  # fmt: skip


def rules_for(text: str) -> list[re.Pattern[str]]:
    """Return the rules of which a mark is in the text; no token begins in the middle of a word."""
    beginnings = _beginnings()
    found: set[int] = set()
    for pair in beginnings.keys() & {(), *pairwise(text)}:
        found.update(number for mark, number in beginnings[pair] if mark in text)
    return [_pattern(number) for number in sorted(found)]


@cache
def _beginnings() -> dict[tuple[str, ...], list[tuple[str, int]]]:
    """Return the marks and the numbers of their rules by the first two characters of the mark, if it has two."""
    found: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    for number, rule in enumerate(RULES):
        for mark in rule.marks:
            found.setdefault(tuple(mark[:2]) if len(mark) > 1 else (), []).append((mark, number))
    return found


@cache
def _pattern(number: int) -> re.Pattern[str]:
    begin = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))"  # a line end may be written as an escape
    return re.compile(f"{begin}(?:{RULES[number].pattern})")
