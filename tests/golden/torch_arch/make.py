"""Makes the folders beside it: weights alone of small models with random
numbers (model.safetensors, config.json where the library writes one), and what
the model answers (answers.npz: `in:NAME`, `out:NAME`).  Made with PyTorch
2.15.0, torchvision 0.29.2 and transformers 5.24.0:

    python3 -m venv pt && pt/bin/pip install torch torchvision transformers
    pt/bin/python tests/golden/torch_arch/make.py tests/golden/torch_arch [NAME...]

Weights are float16, so that the files stay small; the answers are those of
their float32 values."""
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(sys.argv[1])
WANTED = sys.argv[2:]


def settle(model):
    """Random weights, not too large, statistics that are not trivial; the
    values are ones that float16 has."""
    g = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, p in [*model.named_parameters(), *model.named_buffers()]:
            if not p.is_floating_point() or name.endswith(
                    ("inv_freq", "embed_scale")):
                continue
            v = torch.randn(p.shape, generator=g)
            if name.endswith("running_var"):
                v = v.abs() + 0.5
            elif p.dim() <= 1:
                v = v * 0.2 + name.endswith("weight")
            else:
                v = v * ((1.7 if p.dim() == 4 else 1.2) /
                         max(1, p[0].numel()) ** 0.5)
            p.copy_(v.half().float())
    return model.eval()


def keep(name, model, given, wanted, config=None):
    """wanted(model's result) gives the outputs by modeld's names."""
    if WANTED and name not in WANTED:
        return
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    settle(model)
    with torch.no_grad():
        out = wanted(model, {k: torch.from_numpy(v) for k, v in given.items()})
    tensors, seen = {}, set()
    for k, v in model.state_dict().items():
        if v.data_ptr() in seen and v.numel():
            continue  # tied, as save_pretrained leaves them out
        seen.add(v.data_ptr())
        tensors[k] = (v.half() if v.is_floating_point() else v).contiguous()
    save_file(tensors, folder / "model.safetensors")
    if hasattr(model, "config"):
        model.config.save_pretrained(folder)
    elif config:
        (folder / "config.json").write_text(json.dumps(config))
    np.savez_compressed(
        folder / "answers.npz", **{f"in:{k}": v for k, v in given.items()
                                   if k != "all_ids"},
        **{f"out:{k}": v.float().numpy() for k, v in out.items()})
    print(name, (folder / "model.safetensors").stat().st_size)


rng = np.random.default_rng(4)


def picture(side, batch=2, channels=3):
    return rng.standard_normal((batch, channels, side, side)).astype(np.float32)


def text(n, batch=2, length=7):
    ids = rng.integers(3, n, (batch, length))
    mask = np.ones_like(ids)
    mask[-1, length - 2:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def transformers_models():
    import transformers as T

    small = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
                 intermediate_size=40)
    model = T.DistilBertForSequenceClassification(T.DistilBertConfig(
        vocab_size=40, dim=24, n_layers=2, n_heads=3, hidden_dim=40,
        max_position_embeddings=32, num_labels=3))
    keep("distilbert", model, text(40), lambda m, x: {
        "logits": m(**x).logits,
        "last_hidden_state": m.distilbert(**x).last_hidden_state})
    model = T.RobertaForSequenceClassification(T.RobertaConfig(
        vocab_size=40, max_position_embeddings=34, type_vocab_size=1,
        num_labels=3, **small))
    keep("roberta", model, text(40), lambda m, x: {
        "logits": m(**x).logits,
        "last_hidden_state": m.roberta(**x).last_hidden_state})
    model = T.ViTForImageClassification(T.ViTConfig(
        image_size=16, patch_size=4, num_labels=5, **small))
    keep("vit", model, {"pixel_values": picture(16)}, lambda m, x: {
        "logits": m(**x).logits,
        "last_hidden_state": m.vit(**x).last_hidden_state})
    clip = T.CLIPConfig(
        text_config=dict(vocab_size=40, max_position_embeddings=12,
                         projection_dim=16, eos_token_id=39, bos_token_id=1,
                         pad_token_id=0, **small),
        vision_config=dict(image_size=16, patch_size=4, projection_dim=16,
                           **{**small, "hidden_size": 30}),
        projection_dim=16)
    words = text(39)
    words["input_ids"][0, 6] = words["input_ids"][1, 4] = 39
    keep("clip_text", T.CLIPTextModelWithProjection(clip.text_config), words,
         lambda m, x: {"text_embeds": m(**x).text_embeds,
                       "last_hidden_state": m(**x).last_hidden_state})
    keep("clip_vision", T.CLIPVisionModelWithProjection(clip.vision_config),
         {"pixel_values": picture(16)},
         lambda m, x: {"image_embeds": m(**x).image_embeds,
                       "last_hidden_state": m(**x).last_hidden_state})
    keep("clip", T.CLIPModel(clip), {**words, "pixel_values": picture(16)},
         lambda m, x: {k: m(**x)[k] for k in
                       ("logits_per_image", "text_embeds", "image_embeds")})
    model = T.WhisperModel(T.WhisperConfig(
        vocab_size=40, num_mel_bins=10, d_model=24, encoder_layers=2,
        decoder_layers=1, encoder_attention_heads=3, decoder_attention_heads=3,
        encoder_ffn_dim=40, decoder_ffn_dim=24, max_source_positions=16,
        max_target_positions=8, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=1))
    keep("whisper", model, {"input_features": rng.standard_normal(
        (2, 10, 32)).astype(np.float32)}, lambda m, x: {
            "last_hidden_state": m.encoder(**x).last_hidden_state})
    model = T.ConvNextForImageClassification(T.ConvNextConfig(
        hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 2, 1], num_labels=5))
    keep("convnext_hf", model, {"pixel_values": picture(40)},
         lambda m, x: {"logits": m(**x).logits})


def torchvision_models():
    import torchvision.models as V
    from functools import partial

    out = lambda m, x: {"output": m(x["image"])}
    image = {"image": picture(64)}
    keep("mobilenet_v2", V.MobileNetV2(num_classes=3, width_mult=0.1,
                                       round_nearest=4), image,
         out)
    for size in ("small", "large"):
        blocks, last = V.mobilenetv3._mobilenet_v3_conf(
            f"mobilenet_v3_{size}", width_mult=0.125, reduced_tail=True)
        keep(f"mobilenet_v3_{size}", V.MobileNetV3(blocks, 32, 5), image, out)
    conf = V.efficientnet.MBConvConfig
    make = partial(conf, width_mult=0.125, depth_mult=0.5)
    rows = [(1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2),
            (6, 3, 2, 40, 80, 3), (6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4),
            (6, 3, 1, 192, 320, 1)]
    keep("efficientnet", V.EfficientNet([make(*r) for r in rows], 0.2,
                                        num_classes=5, last_channel=32), image,
         out)
    fused = V.efficientnet.FusedMBConvConfig
    rows = [fused(1, 3, 1, 8, 8, 1), fused(4, 3, 2, 8, 8, 1),
            fused(4, 3, 2, 8, 16, 2), conf(4, 3, 2, 16, 16, 1),
            conf(6, 3, 1, 16, 16, 2), conf(6, 3, 2, 16, 24, 1)]
    keep("efficientnet_v2", V.EfficientNet(
        rows, 0.2, num_classes=5, last_channel=32,
        norm_layer=partial(torch.nn.BatchNorm2d, eps=1e-3)), image, out)
    block = V.convnext.CNBlockConfig
    keep("convnext", V.ConvNeXt(
        [block(8, 12, 1), block(12, 16, 1), block(16, 20, 2),
         block(20, None, 1)], num_classes=5), image, out)
    keep("vit_torchvision", V.VisionTransformer(
        16, 4, 2, 3, 24, 40, num_classes=5), {"image": picture(16)}, out,
        {"num_attention_heads": 3})


def decoders():
    import transformers as T

    small = dict(vocab_size=40, hidden_size=24, num_hidden_layers=2,
                 num_attention_heads=4, intermediate_size=40,
                 max_position_embeddings=64, pad_token_id=0, bos_token_id=1,
                 eos_token_id=2)
    kv = dict(num_key_value_heads=2)

    def steps(m, x):
        """The last tokens with what the first ones left behind."""
        n = x["past_key_values.0.key"].shape[2]
        ids = x["all_ids"]
        mask = x["attention_mask"]
        first = m(input_ids=ids[:, :n], attention_mask=mask[:, :n],
                  use_cache=True)
        whole = m(input_ids=ids, attention_mask=mask, use_cache=True)
        past = first.past_key_values
        for i in range(m.config.num_hidden_layers):
            layer = past.layers[i]
            x[f"past_key_values.{i}.key"].copy_(layer.keys)
            x[f"past_key_values.{i}.value"].copy_(layer.values)
        return {"logits": whole.logits[:, n:],
                **{f"present.{i}.{k}": getattr(whole.past_key_values.layers[i],
                                               k + "s")
                   for i in range(m.config.num_hidden_layers)
                   for k in ("key", "value")}}

    def decoder(name, cls, config):
        n, past = 7, 4
        heads = getattr(config, "num_key_value_heads", None) or \
            config.num_attention_heads
        width = getattr(config, "head_dim", None) or \
            config.hidden_size // config.num_attention_heads
        given = {"all_ids": rng.integers(3, 40, (2, n)),
                 "attention_mask": np.ones((2, n), np.int64)}
        given["input_ids"] = given["all_ids"][:, past:]
        given["position_ids"] = np.tile(np.arange(past, n), (2, 1))
        for i in range(config.num_hidden_layers):
            for k in ("key", "value"):
                given[f"past_key_values.{i}.{k}"] = np.zeros(
                    (2, heads, past, width), np.float32)
        keep(name, cls(config), given, steps)

    decoder("llama", T.LlamaForCausalLM, T.LlamaConfig(
        **small, **kv, tie_word_embeddings=False))
    decoder("llama3", T.LlamaForCausalLM, T.LlamaConfig(
        **small, **kv, tie_word_embeddings=True, rope_parameters=dict(
            rope_type="llama3", rope_theta=1e4, factor=8.0,
            low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=16)))
    decoder("mistral", T.MistralForCausalLM, T.MistralConfig(
        **small, **kv, head_dim=8, sliding_window=None))
    decoder("qwen2", T.Qwen2ForCausalLM, T.Qwen2Config(**small, **kv))
    decoder("qwen3", T.Qwen3ForCausalLM, T.Qwen3Config(
        **small, **kv, head_dim=8))
    decoder("gemma", T.GemmaForCausalLM, T.GemmaConfig(
        **small, **kv, head_dim=8, hidden_activation="gelu_pytorch_tanh"))
    decoder("phi3", T.Phi3ForCausalLM, T.Phi3Config(**small, **kv))
    decoder("phi", T.PhiForCausalLM, T.PhiConfig(
        **{**small, "hidden_size": 32}, partial_rotary_factor=0.5))


transformers_models()
torchvision_models()
decoders()
