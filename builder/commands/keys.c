/* keys:list, keys:add, keys:remove */
#include "builder/commands/command.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "builder/commands/call.h"
#include "builder/commands/listing.h"
#include "builder/commands/pubkey.h"

#include <string.h>

#define NAME_MAX_BYTES 64
#define FINGERPRINT    "SHA256:"

/* An administrator may name anybody, everyone else themselves only. */
static int check_owner(struct call *c, const char *user, struct error *err)
{
	if (c->is_admin || (c->user && strcmp(user, c->user) == 0))
		return 0;
	return err_set(err, ERR_DENIED,
		       "the keys of others are for administrators");
}

static json_t *key_json(const struct key *k)
{
	size_t len = strcspn(k->text, " ");

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "user",
			 listing_text(k->user), "name", listing_text(k->name),
			 "type", json_stringn(k->text, len), "fingerprint",
			 listing_text(k->fingerprint), "created",
			 listing_time(k->created), "last_used",
			 listing_time(k->last_used));
}

int cmd_keys_list(struct call *c, struct error *err)
{
	static const struct column columns[] = {
		{ "USER", "user", COLUMN_TEXT },
		{ "NAME", "name", COLUMN_TEXT },
		{ "TYPE", "type", COLUMN_TEXT },
		{ "FINGERPRINT", "fingerprint", COLUMN_TEXT },
		{ "LAST USED", "last_used", COLUMN_TEXT },
		{ NULL, NULL, COLUMN_TEXT },
	};
	const char *user = call_word(c, 0);
	struct key *keys = NULL;
	json_t *rows;
	int count;
	int r;

	if (!user && !c->is_admin)
		user = c->user;
	r = user ? check_owner(c, user, err) : 0;
	if (r < 0)
		return r;
	count = store_keys(c->store, user, &keys, err);
	if (count < 0)
		return count;
	rows = json_array();
	for (int i = 0; i < count; i++) {
		json_array_append_new(rows, key_json(&keys[i]));
		key_release(&keys[i]);
	}
	free(keys);
	call_list(c, rows, columns);
	if (count == 0)
		call_note(c, "no keys: 'keys:add' takes one");
	return 0;
}

/* ---- add ---- */

/* What the words before the key say: 0 to 2 of them. */
struct key_words {
	const char *user;
	const char *name; /* NULL = from the comment */
	size_t key_at;	  /* first word of the key; count = on stdin */
};

static int user_exists(struct call *c, const char *name, struct error *err)
{
	struct user user = { 0 };
	int r;

	r = store_user_get(c->store, name, &user, err);
	user_release(&user);
	if (r == -ERR_NOTFOUND)
		return 0;
	return r < 0 ? r : 1;
}

/* Is the one word given a user (1) or the name of a key of ours (0)? */
static int is_user_word(struct call *c, const char *word, struct error *err)
{
	if (!c->user)
		return 1; /* nobody's own keys: it must be a user */
	if (strcmp(word, c->user) == 0)
		return 1;
	return c->is_admin ? user_exists(c, word, err) : 0;
}

static int read_words(struct call *c, struct key_words *w, struct error *err)
{
	int r;

	while (w->key_at < c->args.count &&
	       !pubkey_is_type(c->args.words[w->key_at]))
		w->key_at++;
	w->user = c->user;
	if (w->key_at > 2)
		return call_usage(c, err,
				  "the words after USER and NAME are not a "
				  "public key");
	if (w->key_at == 2) {
		w->user = call_word(c, 0);
		w->name = call_word(c, 1);
	} else if (w->key_at == 1) {
		r = is_user_word(c, call_word(c, 0), err);
		if (r < 0)
			return r;
		*(r ? &w->user : &w->name) = call_word(c, 0);
	}
	if (!w->user)
		return call_usage(c, err, "whose key?");
	return 0;
}

static int read_key(struct call *c, const struct key_words *w,
		    struct pubkey *ret, struct error *err)
{
	auto_buf struct buf text = BUF_INIT(PUBKEY_INPUT_MAX + 1);
	int r;

	for (size_t i = w->key_at; i < c->args.count; i++)
		buf_addf(&text, "%s%s", i > w->key_at ? " " : "",
			 c->args.words[i]);
	if (w->key_at == c->args.count) {
		if (c->has_tty)
			call_note(c, "Paste the public key:");
		/* In a terminal the line is all, elsewhere the file is. */
		r = c->has_tty ? call_read_line(c, &text, err)
			       : call_read_all(c, &text, err);
		if (r < 0)
			return r;
	}
	return pubkey_parse(buf_slice(&text), ret, err);
}

/* A name out of the comment, as good as it goes. */
static void name_from_comment(const char *comment, char *out)
{
	size_t n = 0;

	for (; *comment && n < NAME_MAX_BYTES; comment++) {
		unsigned char b = (unsigned char)*comment;
		bool is_good = (b >= 'a' && b <= 'z') ||
			       (b >= 'A' && b <= 'Z') ||
			       (b >= '0' && b <= '9') || strchr("._@+-", b);

		out[n++] = is_good ? (char)b : '-';
	}
	out[n] = '\0';
	if (n == 0)
		memcpy(out, "key", sizeof("key"));
}

static int add_key(struct call *c, const struct key_words *w,
		   struct pubkey *pub, struct error *err)
{
	char name[NAME_MAX_BYTES + 1];
	struct key key = { 0 };
	int r;

	name_from_comment(pub->comment, name);
	key.user = xstrdup(w->user);
	key.name = xstrdup(w->name ? w->name : name);
	key.fingerprint = xstrdup(pub->fingerprint);
	key.text = xstrdup(pub->text);
	r = store_key_add(c->store, &key, err);
	if (r == 0 && !call_json(c, key_json(&key))) {
		call_note(c, "Added the key '%s' of %s", key.name, key.user);
		call_printf(c, "%s\n", key.fingerprint);
	}
	key_release(&key);
	return r;
}

int cmd_keys_add(struct call *c, struct error *err)
{
	struct key_words words = { 0 };
	struct pubkey pub = { 0 };
	int r;

	r = read_words(c, &words, err);
	if (r < 0)
		return r;
	r = check_owner(c, words.user, err);
	if (r < 0)
		return r;
	/* Before waiting for the key. */
	r = user_exists(c, words.user, err);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_NOTFOUND,
			       "no user '%.40s': 'users:add %.40s' makes one",
			       words.user, words.user);
	r = read_key(c, &words, &pub, err);
	if (r == 0)
		r = add_key(c, &words, &pub, err);
	pubkey_release(&pub);
	return r;
}

/* ---- remove ---- */

/* Whose is this fingerprint?  The caller frees *ret. */
static int fingerprint_owner(struct call *c, const char *fingerprint,
			     char **ret, struct error *err)
{
	struct key *keys = NULL;
	char *owner = NULL;
	int count;

	count = store_keys(c->store, NULL, &keys, err);
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		if (!owner && strcmp(keys[i].fingerprint, fingerprint) == 0)
			owner = xstrdup(keys[i].user);
		key_release(&keys[i]);
	}
	free(keys);
	if (!owner)
		return err_set(err, ERR_NOTFOUND, "no key %.72s", fingerprint);
	*ret = owner;
	return 0;
}

int cmd_keys_remove(struct call *c, struct error *err)
{
	auto_free char *found = NULL;
	const char *which = call_word(c, c->args.count - 1);
	const char *user = c->args.count == 2 ? call_word(c, 0) : c->user;
	int r;

	/* A fingerprint is enough for an administrator. */
	if (c->args.count == 1 && c->is_admin &&
	    strncmp(which, FINGERPRINT, strlen(FINGERPRINT)) == 0) {
		r = fingerprint_owner(c, which, &found, err);
		if (r < 0)
			return r;
		user = found;
	}
	if (!user)
		return call_usage(c, err, "whose key?");
	r = check_owner(c, user, err);
	if (r < 0)
		return r;
	r = store_key_remove(c->store, user, which, err);
	if (r < 0)
		return r;
	call_printf(c, "Removed the key '%s' of %s\n", which, user);
	return 0;
}
