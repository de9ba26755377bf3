#include "receiver/hostkeys.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name;
	enum ssh_keytypes_e type;
	int bits; /* 0 = the type has but one size */
} kinds[] = {
	{ "ed25519", SSH_KEYTYPE_ED25519, 0 },
	{ "ecdsa", SSH_KEYTYPE_ECDSA, 256 },
	{ "rsa", SSH_KEYTYPE_RSA, 3072 },
};

static int sync_path(const char *path, int flags, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0)
		return err_errno(err, errno, "open '%s'", path);
	if (fsync(fd) < 0)
		return err_errno(err, errno, "sync '%s'", path);
	return 0;
}

static int write_key(ssh_key key, const char *dir, const char *path,
		     struct error *err)
{
	auto_free char *temporary =
		xasprintf("%s.%ld.tmp", path, (long)getpid());
	auto_free char *public = xasprintf("%s.pub", path);
	mode_t mask = umask(077);
	int r = ssh_pki_export_privkey_file(key, NULL, NULL, NULL, temporary);

	umask(mask);
	if (r == SSH_OK)
		r = sync_path(temporary, 0, err);
	else
		r = err_set(err, ERR_SYS, "cannot write '%s'", temporary);
	if (r == 0 && rename(temporary, path) < 0)
		r = err_errno(err, errno, "rename '%s'", temporary);
	if (r < 0) {
		unlink(temporary);
		return r;
	}
	if (ssh_pki_export_pubkey_file(key, public) != SSH_OK)
		return err_set(err, ERR_SYS, "cannot write '%s'", public);
	return sync_path(dir, O_DIRECTORY, err);
}

static int make_key(size_t kind, const char *dir, const char *path,
		    ssh_key *ret, struct error *err)
{
	ssh_key key = NULL;
	int r;

	if (ssh_pki_generate(kinds[kind].type, kinds[kind].bits, &key) !=
	    SSH_OK)
		return err_set(err, ERR_SYS, "cannot make the %s host key",
			       kinds[kind].name);
	r = write_key(key, dir, path, err);
	if (r < 0) {
		ssh_key_free(key);
		return r;
	}
	*ret = key;
	return 0;
}

static int read_key(const char *path, ssh_key *ret, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, errno, "stat '%s'", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err, ERR_DENIED,
			       "host key '%s' is open to others: chmod 600",
			       path);
	if (ssh_pki_import_privkey_file(path, NULL, NULL, NULL, ret) != SSH_OK)
		return err_set(err, ERR_INVALID,
			       "host key '%s' cannot be read as a key", path);
	return 0;
}

static void log_fingerprint(ssh_key key, const char *name)
{
	unsigned char *hash = NULL;
	size_t len = 0;
	char *text = NULL;

	if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash,
				   &len) != SSH_OK)
		return;
	text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len);
	log_info("host key %s %s", name, text ? text : "?");
	ssh_string_free_char(text);
	ssh_clean_pubkey_hash(&hash);
}

static int load_one(size_t kind, const char *dir, ssh_bind bind,
		    struct error *err)
{
	auto_free char *path =
		xasprintf("%s/ssh_host_%s_key", dir, kinds[kind].name);
	ssh_key key = NULL;
	int r;

	if (access(path, F_OK) == 0)
		r = read_key(path, &key, err);
	else
		r = make_key(kind, dir, path, &key, err);
	if (r < 0)
		return r;
	log_fingerprint(key, kinds[kind].name);
	/* The bind owns the key from here on. */
	if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) < 0) {
		ssh_key_free(key);
		return err_set(err, ERR_INVALID, "host key '%s': %s", path,
			       ssh_get_error(bind));
	}
	return 0;
}

int hostkeys_load(const char *dir, ssh_bind bind, struct error *err)
{
	int r = io_mkdirs(dir, 0700, err);

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++)
		r = load_one(i, dir, bind, err);
	return r;
}
