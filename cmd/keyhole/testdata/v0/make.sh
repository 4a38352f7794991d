#!/usr/bin/env bash
# usage: make.sh KEYHOLE
# Makes the files in this folder with the program KEYHOLE, which was that of the
# version in which they were written; editors/*.set and keys.txt list its keys. They are made once and kept: later versions
# have to go on with them (see TestFilesOfEarlierVersions).
set -euo pipefail
k=$1
cd "$(dirname "$0")"
export XDG_CACHE_HOME=$PWD/cache
rm -rf run edits saved facts.jsonl results traced stats store.json
small=(--set hypernet.rank=2 --set model.blocks=1 --set train.accumulate=2 --set train.warmup=0 --set train.schedule=constant
    --set train.val_every=8 --set train.val_edits=6 --set train.save_every=4 --set train.keep=1 --set threads=1)

# A run of 8 steps, and the sums of what it comes to after 12.
"$k" train quickstart "${small[@]}" --steps 8 --out run
cp -r run longer
"$k" resume longer --steps 12
(cd longer/checkpoints/step-000012 && sha256sum phi.safetensors optimiser.safetensors normaliser.safetensors) > step-000012.sha256
rm -rf longer run/tb

# One edit file of each kind of change, and a store.
fact=(--prompt "Friedrich Rosen succumbed at" --subject "Friedrich Rosen" --target Rome)
mkdir edits
"$k" edit --editor rome --model embedded --set mom2_adjustment=false --set layer=3 --set force=true "${fact[@]}" --keep edits/rome.safetensors
"$k" edit --editor lora --model embedded --set rank=2 --set lr=1e-2 "${fact[@]}" --keep edits/lora.safetensors
"$k" edit --editor ft --model embedded --set sites=transformer.h.3.attn.c_proj.weight --set bias=true --set lr=1e-2 "${fact[@]}" --keep edits/ft.safetensors
"$k" edit run "${fact[@]}" --keep edits/mend.safetensors
"$k" edit --editor prompt --model embedded "${fact[@]}" --keep store.json
"$k" edit --editor prompt --model embedded --prompt "Bo Yibo lost their life at" --target Oslo --keep store.json

# The edits of an edited model, without its weights.
"$k" edits apply embedded edits/rome.safetensors edits/lora.safetensors --save saved
find saved -maxdepth 1 -type f -delete

# Results: of a trained editor, of others, of a sequence.
mkdir results
"$k" eval run --data embedded --limit 3 --out results/mend.jsonl
"$k" eval --editor none --model embedded --data embedded --limit 2 --out results/none.jsonl
for f in editors/*.set; do # the settings of the compared editors; all keys, as their defaults may change
    e=$(basename "$f" .set)
    set=()
    while IFS= read -r line; do set+=(--set "$line"); done < "$f"
    "$k" eval --editor "$e" --model embedded --data embedded --limit 2 "${set[@]}" --out "results/$e.jsonl"
done
"$k" eval --editor lora --model embedded --data embedded --limit 4 --set rank=2 --protocol sequential-immediate --out results/sequence.jsonl

# Traced facts and statistics, whole and partial.
cat > facts.jsonl <<'FACTS'
{"subject": "Friedrich Rosen", "prompt": "Friedrich Rosen succumbed at", "attribute": "Beijing", "template": "{} succumbed at", "prediction": " Beijing", "known_id": 0, "relation_id": "P20"}
{"subject": "Jim Rome Is Burning", "prompt": "Jim Rome Is Burning debuted on", "attribute": "ESPN", "template": "{} debuted on", "prediction": " ESPN", "known_id": 1, "relation_id": "P449"}
{"subject": "Bo Yibo", "prompt": "Bo Yibo lost their life at", "attribute": "Beijing", "template": "{} lost their life at", "prediction": " Beijing", "known_id": 2, "relation_id": "P20"}
FACTS
"$k" trace embedded --data facts.jsonl --limit 1 --set samples=2 --restore hidden --out traced
rm traced/hidden.{json,txt,png,svg}
"$k" stats embedded --sites transformer.h.0.mlp.c_fc.weight --tokens 3000 --out stats
rm -rf cache
