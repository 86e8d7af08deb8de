# The whole agent. It runs in a checkout of its own; exit 0: look what I did, 10: nothing to do.
line=$(sed -n 's/^ "prompt": "\(.*\)",$/\1/p' "$SLIPWAY_TASK_FILE")
changed=0
for file in $(git ls-files '*.py'); do
  [ "$(head -n 1 "$file")" = "$line" ] && continue
  { echo "$line"; cat "$file"; } > "$file.new" && mv "$file.new" "$file"
  changed=$((changed + 1))
done
echo "{\"summary\": \"stamped $changed files\"}" > "$SLIPWAY_RESULT_FILE"
[ "$changed" -gt 0 ] || exit 10
