"""The operators by name, and where each is; one is imported when a recipe names it.

More come from files or packages that `custom_operator_paths` names, in which `register` stands
before each.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable

from fovea.errors import ConfigError
from fovea.synth.operator import Operator

_ROOM = "fovea.synth"
OPERATORS: dict[str, str] = {
    f"{name}_{kind}": f"{_ROOM}.{module}:{target}"
    for (kind, module), names in {
        ("filter", "filters.text"): {
            "text_length": "TextLength",
            "words_num": "WordsNum",
            "alphanumeric": "Alphanumeric",
            "special_characters": "SpecialCharacters",
            "character_repetition": "CharacterRepetition",
            "word_repetition": "WordRepetition",
            "average_line_length": "AverageLineLength",
            "maximum_line_length": "MaximumLineLength",
            "stopwords": "Stopwords",
            "flagged_words": "FlaggedWords",
        },
        ("mapper", "mappers.text"): {
            "fix_unicode": "FixUnicode",
            "punctuation_normalization": "PunctuationNormalization",
            "whitespace_normalization": "WhitespaceNormalization",
            "clean_email": "CleanEmail",
            "clean_ip": "CleanIp",
            "clean_links": "CleanLinks",
            "clean_copyright": "CleanCopyright",
            "clean_html": "CleanHtml",
            "remove_specific_chars": "RemoveSpecificChars",
            "remove_long_words": "RemoveLongWords",
            "remove_repeat_sentences": "RemoveRepeatSentences",
            "remove_words_with_incorrect_substrings": "RemoveWordsWithIncorrectSubstrings",
            "replace_content": "ReplaceContent",
            "remove_non_chinese_character": "RemoveNonChineseCharacter",
            "chinese_convert": "ChineseConvert",
            "sentence_split": "SentenceSplit",
        },
        ("deduplicator", "dedup.documents"): {
            "document": "DocumentDeduplicator",
            "document_minhash": "DocumentMinhashDeduplicator",
            "document_simhash": "DocumentSimhashDeduplicator",
            # data-juicer's names of the same on a cluster.
            "ray_document": "DocumentDeduplicator",
            "ray_bts_minhash": "DocumentMinhashDeduplicator",
        },
        ("deduplicator", "dedup.images"): {
            "image": "ImageDeduplicator",
            "ray_image": "ImageDeduplicator",
        },
        ("filter", "filters.image"): {
            "image_aspect_ratio": "ImageAspectRatio",
            "image_shape": "ImageShape",
            "image_size": "ImageSize",
            "image_face_ratio": "ImageFaceRatio",
            "image_face_count": "ImageFaceCount",
            "image_subplot": "ImageSubplot",
        },
        ("filter", "filters.agreement"): {
            "image_text_similarity": "ImageTextSimilarity",
            "image_text_matching": "ImageTextMatching",
            "phrase_grounding_recall": "PhraseGroundingRecall",
            "image_pair_similarity": "ImagePairSimilarity",
        },
        ("filter", "filters.judged"): {
            "image_nsfw": "ImageNsfw",
            "image_watermark": "ImageWatermark",
            "image_aesthetics": "ImageAesthetics",
        },
        ("filter", "filters.language"): {
            "token_num": "TokenNum",
            "perplexity": "Perplexity",
            "language_id_score": "LanguageIdScore",
            "text_action": "TextAction",
            "text_entity_dependency": "TextEntityDependency",
        },
        ("mapper", "mappers.captioning"): {
            "image_captioning": "ImageCaptioning",
        },
        ("mapper", "mappers.talking"): {
            "mllm": "Mllm",
            "image_tagging": "ImageTagging",
            "image_tagging_vlm": "ImageTaggingVlm",
            "image_segment": "ImageSegment",
        },
        ("mapper", "mappers.noise"): {
            "nlpaug_en": "NlpaugEn",
        },
        ("mapper", "mappers.painting"): {
            "image_diffusion": "ImageDiffusion",
        },
        ("filter", "filters.fields"): {
            "specified_field": "SpecifiedField",
            "specified_numeric_field": "SpecifiedNumericField",
            "general_field": "GeneralField",
            "suffix": "Suffix",
            "stat_range": "StatRange",
        },
        ("mapper", "mappers.image"): {
            "image_blur": "ImageBlur",
            "image_face_blur": "ImageFaceBlur",
            "image_remove_background": "ImageRemoveBackground",
        },
        ("selector", "selectors"): {
            "topk_specified_field": "TopkSpecifiedFieldSelector",
            "random": "RandomSelector",
            "range_specified_field": "RangeSpecifiedFieldSelector",
            "frequency_specified_field": "FrequencySpecifiedFieldSelector",
            "tags_specified_field": "TagsSpecifiedFieldSelector",
            "repeat": "RepeatSelector",
            "balanced": "BalancedSelector",
            "head": "HeadSelector",
        },
    }.items()
    for name, target in names.items()
}
OPERATORS["recaption_below"] = f"{_ROOM}.mappers.captioning:RecaptionBelow"
_CUSTOM: dict[str, type[Operator]] = {}


def register(name: str) -> Callable[[type[Operator]], type[Operator]]:
    """Add an operator under a name: `@register("shout_mapper")` before its class."""

    def add(operator: type[Operator]) -> type[Operator]:
        _CUSTOM[name] = operator
        return operator

    return add


def names() -> list[str]:
    """The names of all operators, sorted."""
    return sorted({*OPERATORS, *_CUSTOM})


def operator_class(name: str) -> type[Operator]:
    """The operator of that name.

    Raises:
        ConfigError: there is none.
    """
    if name in _CUSTOM:
        return _CUSTOM[name]
    if name in OPERATORS:
        module, _, target = OPERATORS[name].partition(":")
        return getattr(importlib.import_module(module), target)
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise ConfigError(f"'{name}' is not an operator.{hint}")
