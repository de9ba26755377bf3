# tests/e2e/tools/aws_sdk.sh - sourced after aws_double.sh by scripts that hold
# our client against Amazon's SDK for JavaScript.
#
#   install_sdk                    into build/aws-sdk, once for each lock file
#   sdk [OPTION…] SERVICE OPERATION JSON  one call by the SDK (sdk_tool.mjs)
#   same SERVICE OPERATION JSON    both succeed, with the same output
#   same_refusal SERVICE OPERATION JSON CODE  both are refused, alike
#   same_attempts N SERVICE OPERATION JSON    both succeed at the Nth attempt

SDK=$ROOT/build/aws-sdk

# What npm says is in $TRASH/npm.
install_sdk() {
	local source=$ROOT/tests/e2e/tools/aws-sdk
	mkdir -p "$SDK" && cp "$source/sdk_tool.mjs" "$SDK/" || return 1
	cmp -s "$source/package-lock.json" "$SDK/installed" && return
	cp "$source/package.json" "$source/package-lock.json" "$SDK/" &&
		(cd "$SDK" && npm ci --ignore-scripts --no-audit --no-fund) \
			>"$TRASH/npm" 2>&1 </dev/null &&
		cp "$SDK/package-lock.json" "$SDK/installed"
}

sdk() {
	printf '%s' "${*: -1}" | node "$SDK/sdk_tool.mjs" "${@:1:$#-1}"
}

# Numbers to the millisecond: what a JavaScript date keeps.
normal() {
	jq -S 'walk(if type == "number" then . * 1000 | round / 1000
		else . end)' "$@"
}

agree() { # FILE FILE
	normal "$1" >"$TRASH/a" && normal "$2" >"$TRASH/b" &&
		diff -u "$TRASH/a" "$TRASH/b"
}

same() {
	aws_call "$@" >"$TRASH/ours" || { cat "$TRASH/ours"; return 1; }
	sdk "$@" >"$TRASH/theirs" || { cat "$TRASH/theirs"; return 1; }
	cat "$TRASH/ours"
	agree "$TRASH/ours" "$TRASH/theirs"
}

# Is it the id that the double gave to a request it refused so?
was_refused() { # ID CODE
	admin GET /journal | jq -e "any(.id == \"$1\" and .error == \"$2\")" \
		>/dev/null
}

# refused FILE CODE COMMAND…: status, code and message are in FILE
refused() {
	local file=$1 code=$2
	shift 2
	test_must_fail "$@" >"$file.all" || return 1
	cat "$file.all"
	contains "$file.all" "code $code" &&
		poll_until 5 was_refused \
			"$(sed -n 's/^request_id //p' "$file.all")" "$code" &&
		grep -E '^(status|code|message) ' "$file.all" >"$file"
}

same_refusal() { # SERVICE OPERATION JSON CODE
	refused "$TRASH/ours" "$4" aws_call "$1" "$2" "$3" &&
		refused "$TRASH/theirs" "$4" sdk "$1" "$2" "$3" &&
		cmp "$TRASH/ours" "$TRASH/theirs"
}

requests_are() {
	[ "$(journal "$2")" = "$1" ]
}

# took COUNT OPERATION COMMAND…: it succeeds, with so many requests
took() {
	local count=$1 operation=$2
	shift 2
	mark && "$@" && poll_until 5 requests_are "$count" "$operation" && return
	echo "$(journal "$operation") requests instead of $count"
	return 1
}

# The fault strikes each client anew.
same_attempts() { # COUNT FAULT SERVICE OPERATION JSON
	local count=$1 fault=$2
	shift 2
	admin POST /faults "$fault" && took "$count" "$2" aws_call "$@" &&
		admin DELETE /faults && admin POST /faults "$fault" &&
		took "$count" "$2" sdk "$@" && admin DELETE /faults
}
