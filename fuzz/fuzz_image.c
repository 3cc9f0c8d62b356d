/* Pictures: decoded to RGB and to gray, resized. */
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int channels = 1; channels <= 3; channels += 2) {
        md_image image;
        md_image small;

        if (md_image_decode(&image, data, size, channels, 1 << 20,
                            md_alloc_default(), NULL) != MD_OK)
            continue;
        if (md_image_resize(&small, &image, 7, 5, NULL) == MD_OK)
            md_image_release(&small);
        md_image_release(&image);
    }
    return 0;
}
