"""What the JSON files of a stock checkpoint may say, so that loading it runs no code and asks nothing.

transformers follows what a folder says: classes to import, kernels to fetch, quantisers, adapters. Here the
files are read first, and only what this package writes itself gets through.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from factweights.errors import FileFormatError
from factweights.folders import read_json
from factweights.folders.jsons import checked
from factweights.folders.tensors import FLOATS, read_tensor_file

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
GENERATION, WEIGHTS = "generation_config.json", "model.safetensors"
_READ = frozenset({".json", ".py", ".bin", ".pt", ".pth", ".safetensors", ".jinja", ".model", ".gguf", ".h5"})

Size = Annotated[int, Field(strict=True, ge=1, le=2**30)]
Id = Annotated[int, Field(strict=True, ge=0, lt=2**30)]
Text = Annotated[str, Field(max_length=1000)]


class _Stock(BaseModel):
    """A field that is not named in a subclass may only be empty: null, false, 0, or nothing in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, found: Any) -> Any:
        if not isinstance(found, dict):
            return found
        return {
            k: v for k, v in found.items() if k in cls.model_fields or v not in (None, False, 0, "", [], {})
        }


class _Rope(_Stock):
    rope_theta: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    rope_type: Literal["default"]


class ConfigFile(_Stock):
    """``config.json``: a Llama and nothing else."""

    architectures: tuple[Literal["LlamaForCausalLM"]]
    model_type: Literal["llama"]
    attention_bias: Literal[False] = False
    attention_dropout: Literal[0.0, 0] = 0.0
    bos_token_id: Id
    dtype: Literal["float32", "bfloat16", "float16"]
    eos_token_id: Id
    head_dim: Size
    hidden_act: Literal["silu"]
    hidden_size: Size
    initializer_range: float = 0.02
    intermediate_size: Size
    max_position_embeddings: Size
    mlp_bias: Literal[False] = False
    num_attention_heads: Size
    num_hidden_layers: Annotated[int, Field(strict=True, ge=1, le=64)]
    num_key_value_heads: Size
    pad_token_id: Id
    pretraining_tp: Literal[1] = 1
    rms_norm_eps: Annotated[float, Field(gt=0, lt=1)]
    rope_parameters: _Rope
    rope_theta: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None  # as version 4 has it
    tie_word_embeddings: Literal[False] = False
    torch_dtype: Literal["float32", "bfloat16", "float16"] | None = None  # likewise
    transformers_version: Text = ""
    use_cache: bool = True
    vocab_size: Size

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor of the checkpoint."""
        d, m, v = self.hidden_size, self.intermediate_size, self.vocab_size
        q, kv = (n * self.head_dim for n in (self.num_attention_heads, self.num_key_value_heads))
        layer = {
            "input_layernorm": (d,),
            "post_attention_layernorm": (d,),
            "self_attn.q_proj": (q, d),
            "self_attn.k_proj": (kv, d),
            "self_attn.v_proj": (kv, d),
            "self_attn.o_proj": (d, q),
            "mlp.gate_proj": (m, d),
            "mlp.up_proj": (m, d),
            "mlp.down_proj": (d, m),
        }
        layers = range(self.num_hidden_layers)
        found = {f"model.layers.{i}.{name}.weight": shape for i in layers for name, shape in layer.items()}
        outside = {"model.embed_tokens.weight": (v, d), "lm_head.weight": (v, d), "model.norm.weight": (d,)}
        return found | outside


class TokenizerConfigFile(_Stock):
    """``tokenizer_config.json``: the tokenizer is all in ``tokenizer.json``."""

    backend: Literal["tokenizers"] = "tokenizers"
    bos_token: Text
    eos_token: Text
    pad_token: Text
    unk_token: Text | None = None
    clean_up_tokenization_spaces: bool = False
    model_input_names: tuple[Literal["input_ids"], Literal["attention_mask"]] | None = None
    model_max_length: Size
    padding_side: Literal["left", "right"]
    tokenizer_class: Literal["TokenizersBackend", "PreTrainedTokenizerFast"]


class GenerationFile(_Stock):
    """``generation_config.json``."""

    bos_token_id: Id
    eos_token_id: Id | list[Id]
    pad_token_id: Id
    do_sample: Literal[False] = False
    max_new_tokens: Size = 1
    transformers_version: Text = ""


def must_be_stock(folder: Path) -> ConfigFile:
    """Read what transformers would follow, and refuse what is not of a compiled model.

    Raises:
        FileFormatError: a field that is not ours, or a value it cannot have; weights of other shapes than the
            configuration asks for, found before anything is allocated.
    """
    config = checked(ConfigFile, read_json(folder / CONFIG), folder / CONFIG)
    checked(TokenizerConfigFile, read_json(folder / TOKENIZER_CONFIG), folder / TOKENIZER_CONFIG)
    checked(GenerationFile, read_json(folder / GENERATION), folder / GENERATION)
    weights = read_tensor_file(folder / WEIGHTS)
    if weights.shapes != config.shapes():
        raise FileFormatError(
            f"{folder / WEIGHTS} does not have the shapes that {CONFIG} says; compile again"
        )
    for name in weights.shapes:
        weights.must_be(folder / WEIGHTS, name, FLOATS)
    return config


def must_list_all(folder: Path, listed: set[str]) -> None:
    """Refuse files that the manifest does not list and that transformers would read all the same.

    Raises:
        FileFormatError: there are some.
    """
    if more := sorted(f.name for f in folder.iterdir() if f.name not in listed and f.suffix.lower() in _READ):
        raise FileFormatError(
            f"{folder} holds {', '.join(more[:5])}, which compile did not write and transformers may read; "
            "move it away"
        )
