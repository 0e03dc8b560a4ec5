"""Public names, imported when first used: read by type checkers and, at run time, by lazy_loader."""

from . import certificates as certificates
from . import dynamics as dynamics
from . import errors as errors
from . import facts as facts
from . import memories as memories
from . import methods as methods
from . import plots as plots
from . import studies as studies
from . import theory as theory
from .bundle import (
    Bundle as Bundle,
)
from .certificates import (
    Certificate as Certificate,
)
from .certificates import (
    PromptCertificate as PromptCertificate,
)
from .certificates import (
    Witness as Witness,
)
from .certificates import (
    margin_bound as margin_bound,
)
from .certificates import (
    margins as margins,
)
from .certificates import (
    noise_recall as noise_recall,
)
from .certificates import (
    relative_margins as relative_margins,
)
from .certificates import (
    tail_margins as tail_margins,
)
from .certificates import (
    verify as verify,
)
from .certificates import (
    verify_prompts as verify_prompts,
)
from .dynamics import (
    Descent as Descent,
)
from .dynamics import (
    Flow as Flow,
)
from .dynamics import (
    WatchedTraining as WatchedTraining,
)
from .dynamics import (
    descend as descend,
)
from .dynamics import (
    find_stages as find_stages,
)
from .dynamics import (
    gradient_flow as gradient_flow,
)
from .dynamics import (
    watch_training as watch_training,
)
from .editing import (
    Edited as Edited,
)
from .editing import (
    edit as edit,
)
from .editing import (
    edit_facts as edit_facts,
)
from .editing import (
    edit_folder as edit_folder,
)
from .editing import (
    edit_table as edit_table,
)
from .errors import (
    FactweightsError as FactweightsError,
)
from .export import (
    Ablation as Ablation,
)
from .export import (
    Compiled as Compiled,
)
from .export import (
    EditedModel as EditedModel,
)
from .export import (
    Explanation as Explanation,
)
from .export import (
    ModelCertificate as ModelCertificate,
)
from .export import (
    OnnxModel as OnnxModel,
)
from .export import (
    ablate as ablate,
)
from .export import (
    compile_table as compile_table,
)
from .export import (
    edit_compiled as edit_compiled,
)
from .export import (
    explain as explain,
)
from .export import (
    plan_compiled as plan_compiled,
)
from .export import (
    recall_compiled as recall_compiled,
)
from .export import (
    recall_many as recall_many,
)
from .export import (
    to_onnx as to_onnx,
)
from .export import (
    verify_compiled as verify_compiled,
)
from .facts import (
    Associations as Associations,
)
from .facts import (
    FactTable as FactTable,
)
from .facts import (
    RecallTask as RecallTask,
)
from .facts import (
    minilm_embeddings as minilm_embeddings,
)
from .memories import (
    GatedMemory as GatedMemory,
)
from .memories import (
    LinearMemory as LinearMemory,
)
from .memories import (
    LowRankMemory as LowRankMemory,
)
from .memories import (
    Memory as Memory,
)
from .memories import (
    MLPMemory as MLPMemory,
)
from .memories import (
    RecallTransformer as RecallTransformer,
)
from .memories import (
    load_memory as load_memory,
)
from .methods import (
    EncoderDecoder as EncoderDecoder,
)
from .methods import (
    ExactLinear as ExactLinear,
)
from .methods import (
    GatedFit as GatedFit,
)
from .methods import (
    GatedHebbian as GatedHebbian,
)
from .methods import (
    Hebbian as Hebbian,
)
from .methods import (
    HermiteNTK as HermiteNTK,
)
from .methods import (
    LowRankFit as LowRankFit,
)
from .methods import (
    LowRankHebbian as LowRankHebbian,
)
from .methods import (
    Method as Method,
)
from .methods import (
    MLPFit as MLPFit,
)
from .methods import (
    PaperAdam as PaperAdam,
)
from .methods import (
    PaperAdamMLP as PaperAdamMLP,
)
from .methods import (
    RandomFeatures as RandomFeatures,
)
from .methods import (
    Ridge as Ridge,
)
from .methods import (
    TailAverage as TailAverage,
)
from .methods import (
    method_named as method_named,
)
from .methods.recall import (
    AttentionMLP as AttentionMLP,
)
from .methods.recall import (
    AttentionOnly as AttentionOnly,
)
from .methods.recall import (
    FitOrDescend as FitOrDescend,
)
from .methods.recall import (
    PaperAdamTransformer as PaperAdamTransformer,
)
from .methods.recall import (
    TransformerFit as TransformerFit,
)
from .methods.superposition import (
    superpose as superpose,
)
from .models.graft import (
    EditedGraft as EditedGraft,
)
from .models.graft import (
    GraftCertificate as GraftCertificate,
)
from .models.graft import (
    Grafted as Grafted,
)
from .models.graft import (
    GraftExplanation as GraftExplanation,
)
from .models.graft import (
    edit_grafted as edit_grafted,
)
from .models.graft import (
    explain_grafted as explain_grafted,
)
from .models.graft import (
    graft as graft,
)
from .models.graft import (
    verify_grafted as verify_grafted,
)
from .models.measure import (
    Measured as Measured,
)
from .models.measure import (
    measure as measure,
)
from .planning import (
    Plan as Plan,
)
from .planning import (
    plan as plan,
)
from .sizing import (
    Capacity as Capacity,
)
from .sizing import (
    Smallest as Smallest,
)
from .sizing import (
    Width as Width,
)
from .sizing import (
    capacity as capacity,
)
from .sizing import (
    fewest_parameters as fewest_parameters,
)
from .sizing import (
    smallest_d as smallest_d,
)
from .sizing import (
    smallest_rank as smallest_rank,
)
from .sizing import (
    smallest_transformer as smallest_transformer,
)
from .sizing import (
    smallest_width as smallest_width,
)
from .sizing import (
    width as width,
)
from .storing import (
    Stored as Stored,
)
from .storing import (
    store_table as store_table,
)

__version__: str
