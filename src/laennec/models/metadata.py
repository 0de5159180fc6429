"""Age, sex and position as indices into embeddings. Index 0 always means "not known"."""

import torch
from torch import Tensor, nn

from laennec.labels import POSITIONS, SEXES

# SPRSound's patients are 0 to 18 years old (Chen & Zhang, section 3.1); older ones share the last index.
OLDEST_YEARS = 18
AGE_INDICES = OLDEST_YEARS + 2
SEX_INDICES = len(SEXES) + 1
POSITION_INDICES = len(POSITIONS) + 1


class MetadataEmbedding(nn.Module):
    """Embed age, sex and position in 64 dimensions each (Chen & Zhang, sections 3.5 and 3.6).

    Age is embedded by whole years, which is what an embedding of a number needs and what the data's 251
    patients can fill. ``(batch,)`` age in years (NaN: not known), sex index, position index
    ``-> (batch, 3 * size)``.
    """

    def __init__(self, size: int = 64) -> None:
        super().__init__()
        self.age = nn.Embedding(AGE_INDICES, size)
        self.sex = nn.Embedding(SEX_INDICES, size)
        self.position = nn.Embedding(POSITION_INDICES, size)

    def forward(self, age_years: Tensor, sex: Tensor, position: Tensor) -> Tensor:
        # NaN compares false with everything, so an unknown age falls through to index 0.
        known = age_years >= 0
        whole = torch.where(known, age_years, -1.0).floor().clamp(-1, OLDEST_YEARS).long() + 1
        return torch.cat([self.age(whole), self.sex(sex), self.position(position)], dim=1)
