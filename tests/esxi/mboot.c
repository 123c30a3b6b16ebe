/*
 * A stand-in for ESXi's loader on UEFI, so that real firmware goes the whole way. Fetched by the PXE client of the firmware
 * it asks for boot.cfg by TFTP as mboot does (<bootdir>/01-<mac>/boot.cfg, then <bootdir>/boot.cfg); started by iPXE with
 * -c <url> it takes that one, through iPXE's download protocol. It loads kernel and modules in order (by TFTP the size
 * first, then the file) and jumps to the kernel. What it does is said on the first serial port, one line each:
 * MBOOT <what> <...>.
 *
 * Written from the UEFI 2.10 and RFC 2131 layouts and from notes about what mboot asks for; it shares nothing with it.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
#define EFIAPI __attribute__((ms_abi))

struct guid { u32 a; u16 b, c; u8 d[8]; };

static void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static u8 in8(u16 port) { u8 value; __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port)); return value; }
static void say_char(char c) {
	int patience = 1000000;
	while (!(in8(0x3fd) & 0x20) && --patience) {}
	out8(0x3f8, (u8)c);
}
static void say(const char *text) { while (*text) say_char(*text++); }
static void say_number(u64 value) {
	char digits[21]; int at = 20;
	digits[at] = 0;
	do { digits[--at] = (char)('0' + value % 10); value /= 10; } while (value);
	say(digits + at);
}
static void end_line(void) { say("\r\n"); }

void *memcpy(void *to, const void *from, u64 count) {
	u8 *a = to; const u8 *b = from;
	while (count--) *a++ = *b++;
	return to;
}
void *memset(void *to, int value, u64 count) {
	u8 *a = to;
	while (count--) *a++ = (u8)value;
	return to;
}
static u64 length(const char *text) { u64 n = 0; while (text[n]) n++; return n; }

struct table_header { u64 signature; u32 revision, size, crc, reserved; };
struct boot_services {
	struct table_header header;
	void *raise_tpl, *restore_tpl;
	u64 (EFIAPI *allocate_pages)(u32 type, u32 memory, u64 pages, u64 *address);
	void *free_pages;
	u64 (EFIAPI *get_memory_map)(u64 *size, void *map, u64 *key, u64 *descriptor, u32 *version);
	u64 (EFIAPI *allocate_pool)(u32 memory, u64 size, void **buffer);
	void *free_pool, *create_event, *set_timer, *wait_for_event, *signal_event, *close_event, *check_event;
	void *install_protocol, *reinstall_protocol, *uninstall_protocol;
	u64 (EFIAPI *handle_protocol)(void *handle, const struct guid *protocol, void **interface);
	void *reserved, *register_notify, *locate_handle, *locate_device_path, *install_table;
	void *load_image, *start_image;
	u64 (EFIAPI *exit)(void *image, u64 status, u64 size, void *data);
	void *unload_image;
	u64 (EFIAPI *exit_boot_services)(void *image, u64 key);
};
struct system_table {
	struct table_header header;
	void *vendor; u32 revision, pad;
	void *in_handle, *in, *out_handle, *out, *error_handle, *error, *runtime;
	struct boot_services *boot;
};
struct loaded_image {
	u32 revision, pad; void *parent; struct system_table *system; void *device, *path, *reserved;
	u32 options_size, pad2; u16 *options;
};
/* iPXE's own, on the handle of its network card. */
struct download {
	u64 (EFIAPI *start)(struct download *self, const char *url, u64 (EFIAPI *data)(void *, u8 *, u64, u64),
		void (EFIAPI *finish)(void *, u64), void *context, void **file);
	u64 (EFIAPI *abort)(struct download *self, void *file, u64 status);
	u64 (EFIAPI *poll)(struct download *self);
};
union address { u32 words[4]; u8 bytes[16]; };
/* RFC 2131 section 2, as the firmware keeps it. */
struct packet {
	u8 op, htype, hlen, hops; u32 xid; u16 secs, flags;
	u8 ciaddr[4], yiaddr[4], siaddr[4], giaddr[4], chaddr[16]; char sname[64], file[128];
	u8 magic[4], options[1472 - 240];
};
struct pxe_mode {
	u8 started, v6_available, v6_supported, using_v6, bis_supported, bis_detected, auto_arp, send_guid;
	u8 discover_valid, ack_received, proxy_received, pxe_discover_valid, reply_received, bis_received;
	u8 icmp_error, tftp_error, callbacks, ttl, tos, pad;
	union address station, mask;
	struct packet discover, ack, proxy, pxe_discover, reply;
};
struct pxe {
	u64 revision; void *start, *stop, *dhcp, *discover;
	u64 (EFIAPI *mtftp)(struct pxe *self, u32 operation, void *buffer, u8 overwrite, u64 *size, u64 *block,
		union address *server, const char *name, void *info, u8 discard);
	void *udp_write, *udp_read, *set_filter, *arp, *set_parameters, *set_station, *set_packets;
	struct pxe_mode *mode;
};
enum { TFTP_SIZE = 1, TFTP_READ = 2 };

static const struct guid LOADED_IMAGE = { 0x5b1b31a1, 0x9562, 0x11d2, { 0x8e, 0x3f, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b } };
static const struct guid PXE = { 0x03c4e603, 0xac28, 0x11d3, { 0x9a, 0x2d, 0, 0x90, 0x27, 0x3f, 0xc1, 0x4d } };

static const struct guid DOWNLOAD = { 0x3eaeaebd, 0xdecf, 0x493b, { 0x9b, 0xd1, 0xcd, 0xb2, 0xde, 0xca, 0xe7, 0x19 } };

static struct boot_services *boot;
static struct pxe *pxe;
static union address server;

static struct download *download;
enum { ROOM = 8 << 20 };
struct arriving { u8 *bytes; u64 size, status; int done; };

static u64 EFIAPI arrived(void *context, u8 *bytes, u64 size, u64 offset) {
	struct arriving *file = context;
	if (offset + size >= ROOM) return 1ull << 63 | 9;
	memcpy(file->bytes + offset, bytes, size);
	if (offset + size > file->size) file->size = offset + size;
	return 0;
}
static void EFIAPI finished(void *context, u64 status) {
	struct arriving *file = context;
	file->status = status;
	file->done = 1;
}
static u8 *fetch_by_ipxe(const char *name, u64 *size) {
	struct arriving file = { 0, 0, 0, 0 };
	void *handle;
	if (boot->allocate_pool(2, ROOM, (void **)&file.bytes)) { say("MBOOT memory"); end_line(); return 0; }
	if (download->start(download, name, arrived, finished, &file, &handle)) { say("MBOOT refused "); say(name); end_line(); return 0; }
	while (!file.done) download->poll(download);
	if (file.status) { say("MBOOT absent "); say(name); end_line(); return 0; }
	*size = file.size;
	file.bytes[file.size] = 0;
	return file.bytes;
}

/* One file: its size, then its bytes. Null when it is not there. */
static u8 *fetch(const char *name, u64 *size) {
	if (download) return fetch_by_ipxe(name, size);
	u64 block = 1468, status;
	u8 *buffer;
	*size = 0;
	status = pxe->mtftp(pxe, TFTP_SIZE, 0, 0, size, &block, &server, name, 0, 0);
	if (status) { say("MBOOT absent "); say(name); end_line(); return 0; }
	if (boot->allocate_pool(2, *size + 1, (void **)&buffer)) { say("MBOOT memory"); end_line(); return 0; }
	status = pxe->mtftp(pxe, TFTP_READ, buffer, 0, size, &block, &server, name, 0, 0);
	if (status) { say("MBOOT unreadable "); say(name); end_line(); return 0; }
	buffer[*size] = 0;
	return buffer;
}

static const char *option(const struct packet *packet, u8 code, u8 *size) {
	u64 at = 0;
	while (at + 1 < sizeof packet->options && packet->options[at] != 255) {
		if (packet->options[at] == 0) { at++; continue; }
		if (packet->options[at] == code) { *size = packet->options[at + 1]; return (const char *)packet->options + at + 2; }
		at += 2 + packet->options[at + 1];
	}
	return 0;
}

static char directory[256], config_name[512], name[1024], line_kernel[256], line_options[4096], line_modules[16384];
static char line_prefix[256], line_title[256];

static int begins(const char *line, const char *key) { while (*key) if (*line++ != *key++) return 0; return 1; }
static void value_of(const char *line, const char *key, char *into, u64 room) {
	u64 n = 0;
	if (!begins(line, key)) return;
	line += length(key);
	while (*line && *line != '\n' && *line != '\r' && n + 1 < room) into[n++] = *line++;
	into[n] = 0;
}

/* Prefix, slash, item, without slashes in a row. */
static void join(const char *prefix, const char *item, u64 item_size) {
	u64 n = 0, i;
	if (*item != '/') {
		for (i = 0; prefix[i] && n < 700; i++) name[n++] = prefix[i];
		if (n && name[n - 1] != '/') name[n++] = '/';
	}
	for (i = 0; i < item_size && n < 1000; i++) name[n++] = item[i];
	name[n] = 0;
}

struct module { u8 *bytes; u64 size; };
static struct module modules[512];
static u32 module_count;

static int load(const char *prefix, const char *item) {
	u64 size, i, item_size = 0;
	u32 sum = 0;
	while (item[item_size] && item[item_size] != ' ') item_size++;
	join(prefix, item, item_size);
	u8 *bytes = fetch(name, &size);
	if (!bytes || module_count == 512) return 0;
	for (i = 0; i < size; i++) sum = sum * 31 + bytes[i];
	modules[module_count].bytes = bytes;
	modules[module_count++].size = size;
	say("MBOOT module "); say(name); say(" "); say_number(size); say(" "); say_number(sum); end_line();
	return 1;
}

/* What the kernel is given. */
struct hand_over { const char *command_line; u64 modules; };

struct elf { u8 ident[16]; u16 type, machine; u32 version; u64 entry, headers, sections; u32 flags; u16 size, header_size, header_count; };
struct elf_header { u32 type, flags; u64 offset, virtual_address, address, file_size, memory_size, align; };

static u64 start_kernel(void *image, struct module *kernel) {
	struct elf *elf = (struct elf *)kernel->bytes;
	u64 map_size = 0, key = 0, descriptor = 0;
	u32 version = 0;
	static struct hand_over given;
	void *map = 0;
	if (kernel->size < sizeof *elf || !begins((const char *)elf->ident, "\177ELF")) { say("MBOOT not-a-kernel"); end_line(); return 1; }
	for (u16 at = 0; at < elf->header_count; at++) {
		struct elf_header *header = (struct elf_header *)(kernel->bytes + elf->headers + at * elf->header_size);
		u64 address = header->address & ~4095ull;
		if (header->type != 1) continue;
		if (boot->allocate_pages(2, 2, (header->address + header->memory_size - address + 4095) / 4096, &address)) {
			say("MBOOT no-room-for-kernel"); end_line(); return 1;
		}
		memset((void *)header->address, 0, header->memory_size);
		memcpy((void *)header->address, kernel->bytes + header->offset, header->file_size);
	}
	given.command_line = line_options;
	given.modules = module_count - 1;
	boot->get_memory_map(&map_size, 0, &key, &descriptor, &version);
	map_size += 4096;
	boot->allocate_pool(2, map_size, &map);
	if (boot->get_memory_map(&map_size, map, &key, &descriptor, &version)) return 1;
	if (boot->exit_boot_services(image, key)) { say("MBOOT firmware-stays"); end_line(); return 1; }
	((void (*)(struct hand_over *))elf->entry)(&given);
	return 1;
}

static u64 run(void *image) {
	struct loaded_image *own;
	struct packet *packet;
	const char *file, *digits = "0123456789abcdef";
	char *config, *at;
	u8 size = 0;
	u64 n = 0, i, slash = 0, bytes;
	if (boot->handle_protocol(image, &LOADED_IMAGE, (void **)&own)) return 1;
	for (i = 0; i < own->options_size / 2; i++) {
		u64 from = i + 3, to = 0;
		if (own->options[i] != '-' || own->options[i + 1] != 'c' || own->options[i + 2] != ' ') continue;
		while (from < own->options_size / 2 && own->options[from] > ' ' && to + 1 < sizeof config_name)
			config_name[to++] = (char)own->options[from++];
		if (boot->handle_protocol(own->device, &DOWNLOAD, (void **)&download)) { say("MBOOT no-download"); end_line(); return 1; }
		config = (char *)fetch(config_name, &bytes);
		goto found;
	}
	if (boot->handle_protocol(own->device, &PXE, (void **)&pxe)) { say("MBOOT no-pxe"); end_line(); return 1; }
	packet = pxe->mode->reply_received ? &pxe->mode->reply : pxe->mode->proxy_received ? &pxe->mode->proxy : &pxe->mode->ack;
	memcpy(server.bytes, packet->siaddr, 4);
	file = option(packet, 67, &size);
	if (!file) { file = packet->file; size = 127; }
	for (i = 0; i < size && file[i] && i < sizeof directory - 1; i++) { directory[i] = file[i]; if (file[i] == '/') slash = i; }
	directory[slash] = 0;
	say("MBOOT bootdir "); say(directory); end_line();
	for (i = 0; directory[i]; i++) config_name[n++] = directory[i];
	if (n) config_name[n++] = '/';
	u64 after_directory = n;
	config_name[n++] = '0'; config_name[n++] = '1';
	for (i = 0; i < 6; i++) {
		u8 octet = pxe->mode->ack.chaddr[i];
		config_name[n++] = '-'; config_name[n++] = digits[octet >> 4]; config_name[n++] = digits[octet & 15];
	}
	memcpy(config_name + n, "/boot.cfg", 10);
	config = (char *)fetch(config_name, &bytes);
	if (!config) {
		memcpy(config_name + after_directory, "boot.cfg", 9);
		config = (char *)fetch(config_name, &bytes);
	}
found:
	if (!config) { say("MBOOT no-config"); end_line(); return 1; }
	say("MBOOT config "); say(config_name); end_line();
	memcpy(line_prefix, directory, sizeof line_prefix);
	int skip = 0;
	for (at = config; *at; ) {
		value_of(at, "title=", line_title, sizeof line_title);
		value_of(at, "prefix=", line_prefix, sizeof line_prefix);
		value_of(at, "kernel=", line_kernel, sizeof line_kernel);
		value_of(at, "kernelopt=", line_options, sizeof line_options - 64);
		value_of(at, "modules=", line_modules, sizeof line_modules);
		if (begins(at, "skip=1")) skip = 1;
		while (*at && *at != '\n') at++;
		if (*at) at++;
	}
	say("MBOOT title "); say(line_title); end_line();
	if (skip) { say("MBOOT skip"); end_line(); return 1; }
	if (!load(line_prefix, line_kernel)) { say("MBOOT failed"); end_line(); return 1; }
	for (at = line_modules; *at; ) {
		while (*at == ' ' || *at == '-') at++;
		if (!*at) break;
		if (!load(line_prefix, at)) { say("MBOOT failed"); end_line(); return 1; }
		while (*at && *at != ' ') at++;
	}
	n = length(line_options);
	/* Started by iPXE it need not know the card. */
	if (!pxe) return start_kernel(image, &modules[0]);
	if (n) line_options[n++] = ' ';
	memcpy(line_options + n, "BOOTIF=01", 9); n += 9;
	for (i = 0; i < 6; i++) {
		u8 octet = pxe->mode->ack.chaddr[i];
		line_options[n++] = '-'; line_options[n++] = digits[octet >> 4]; line_options[n++] = digits[octet & 15];
	}
	line_options[n] = 0;
	return start_kernel(image, &modules[0]);
}

u64 EFIAPI efi_main(void *image, struct system_table *system) {
	boot = system->boot;
	say("\r\nMBOOT up"); end_line();
	u64 status = run(image);
	say("MBOOT leaves"); end_line();
	return status | (1ull << 63);
}
