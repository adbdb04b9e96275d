import re
from pathlib import Path

import yaml

from fiat.spec.deploy_section import Target

README = Path(__file__).parent.parent / "README.md"


def test_the_example_of_the_readme_is_a_target_of_a_spec() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    said = yaml.safe_load(block)["deploy"]["registry"]
    target = Target.model_validate(said)
    assert target.to == "mlflow"
    assert target.model_fields_set == said.keys()
