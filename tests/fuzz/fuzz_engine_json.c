/* builder/engine/engine_json.h, message.h: replies of the engine. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "builder/engine/container.h"
#include "builder/engine/engine_json.h"
#include "builder/engine/image.h"
#include "builder/engine/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void free_list(char **list)
{
	for (char **p = list; *p; p++)
		free(*p);
	free(list);
}

static void read_containers(const json_t *doc)
{
	struct container_state state;
	struct container *list = NULL;
	int count;

	container_state_from_json(doc, "net", &state);
	container_state_release(&state);
	count = container_list_from_json(doc, &list);
	for (int i = 0; i < count; i++)
		container_release(&list[i]);
	free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct build_hints hints = {
		.dockerfile = "Dockerfile",
		.registry = "r",
	};
	struct slice text = { (const char *)data, size };
	auto_buf struct buf out = BUF_INIT(4096);
	json_auto_t *doc = json_loadb(text.ptr, text.len,
				      JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	struct image_info info;

	read_containers(doc);
	image_info_from_json(doc, &info);
	image_info_release(&info);
	free_list(image_tags_from_json(doc, "slipway/7"));
	free_list(network_subnets_from_json(doc));
	(void)container_has_tty(doc);
	message_from_reply(text, &out);
	if (out.len > ENGINE_MESSAGE_MAX + 8)
		abort();
	(void)message_of_build(text, &hints, &out);
	(void)message_exit_code(text);
	return 0;
}
