"""ECR: repositories, images and tokens; the bytes are in registry.py."""
import base64
import datetime
import hashlib
import json
import os
import secrets

import registry
from core import AwsError, Service

# User guide, "Lifecycle policy parameters": what a rule may hold.
COUNT_TYPES = {"imageCountMoreThan", "sinceImagePushed"}


class Repository:
    def __init__(self, name, params, created):
        self.name = name
        self.mutability = params.get("imageTagMutability", "MUTABLE")
        self.scanning = params.get("imageScanningConfiguration",
                                   {"scanOnPush": False})
        self.encryption = params.get("encryptionConfiguration",
                                     {"encryptionType": "AES256"})
        self.created = created
        self.labels = params.get("tags", [])  # of the repository itself
        self.tags = {}        # image tag -> digest
        self.images = {}      # digest -> Image, in order of pushing
        self.lifecycle = None

    def tags_of(self, digest):
        return sorted(t for t, d in self.tags.items() if d == digest)


class Image:
    def __init__(self, digest, manifest, media_type, pushed):
        self.digest = digest
        self.manifest = manifest  # bytes
        self.media_type = media_type
        self.pushed = pushed
        parsed = json.loads(manifest)
        self.size = sum(layer.get("size", 0)
                        for layer in parsed.get("layers", []))
        self.children = {m["digest"] for m in parsed.get("manifests", [])}
        self.artifact = parsed.get("config", {}).get("mediaType")


class Ecr(Service):
    id = "ecr"

    def __init__(self, world):
        super().__init__(world)
        self.repositories = {}
        self.tokens = {}  # password -> epoch of its end

    def start(self):
        self.registry = registry.Registry(
            self.world, self, os.path.join(self.world.options.data,
                                           "registry"))
        self.address = self.registry.start()

    def ready_values(self):
        return {"REGISTRY": self.address}

    def stop(self):
        if hasattr(self, "registry"):
            self.registry.stop()

    def now(self):
        return datetime.datetime.fromtimestamp(int(self.world.clock.now()),
                                               datetime.timezone.utc)

    # ---- tokens ----

    def new_token(self):
        """(password, epoch of its end)"""
        password = secrets.token_urlsafe(200)
        end = self.world.clock.now() + \
            self.world.clock.constant("ecr-token")
        with self.lock:
            self.tokens[password] = end
        return password, end

    def token_state(self, password):
        """good, expired or unknown"""
        with self.lock:
            end = self.tokens.get(password)
        if end is None:
            return "unknown"
        return "good" if end > self.world.clock.now() else "expired"

    def expire_tokens(self):
        with self.lock:
            self.tokens = {password: 0 for password in self.tokens}

    def GetAuthorizationToken(self, params, request):
        password, end = self.new_token()
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        return {"authorizationData": [{
            "authorizationToken": token,
            "expiresAt": datetime.datetime.fromtimestamp(
                end, datetime.timezone.utc),
            "proxyEndpoint": f"http://{self.address}"}]}

    def pull_credentials(self, image):
        """What the execution role of a task gets for this image."""
        if not image.startswith(self.address + "/"):
            return None
        return {"username": "AWS", "password": self.new_token()[0],
                "serveraddress": self.address}

    def image_reference_ok(self, image):
        if not image.startswith(self.address + "/"):
            return True
        rest = image[len(self.address) + 1:]
        name, at, digest = rest.partition("@")
        tag = None
        if not at:
            name, _, tag = rest.partition(":")
            tag = tag or "latest"
        with self.lock:
            repository = self.repositories.get(name)
            return repository is not None and (
                digest in repository.images if at else tag in repository.tags)

    # ---- repositories ----

    def repository(self, params):
        self.own_registry(params)
        name = params["repositoryName"]
        if name not in self.repositories:
            raise AwsError("RepositoryNotFoundException", "The repository "
                           f"with name '{name}' does not exist in the "
                           f"registry with id '{self.world.account}'")
        return self.repositories[name]

    def own_registry(self, params):
        if params.get("registryId", self.world.account) != self.world.account:
            raise AwsError("InvalidParameterException", "Invalid parameter at"
                           " 'registryId': the double has one account")

    def shown(self, repository):
        return {
            "repositoryArn": self.world.arn("ecr", "repository/"
                                            + repository.name),
            "registryId": self.world.account,
            "repositoryName": repository.name,
            "repositoryUri": f"{self.address}/{repository.name}",
            "createdAt": repository.created,
            "imageTagMutability": repository.mutability,
            "imageScanningConfiguration": repository.scanning,
            "encryptionConfiguration": repository.encryption,
        }

    def CreateRepository(self, params, request):
        name = params["repositoryName"]
        self.own_registry(params)
        with self.lock:
            if name in self.repositories:
                raise AwsError("RepositoryAlreadyExistsException", "The "
                               f"repository with name '{name}' already exists"
                               " in the registry with id "
                               f"'{self.world.account}'")
            self.repositories[name] = Repository(name, params, self.now())
            return {"repository": self.shown(self.repositories[name])}

    def DescribeRepositories(self, params, request):
        self.own_registry(params)
        with self.lock:
            names = params.get("repositoryNames")
            if names is not None:
                found = [self.repository({"repositoryName": name})
                         for name in names]
            else:
                found = [r for _, r in sorted(self.repositories.items())]
            return page("repositories", [self.shown(r) for r in found],
                        params)

    def ListTagsForResource(self, params, request):
        arn = params["resourceArn"]
        with self.lock:
            for repository in self.repositories.values():
                if self.shown(repository)["repositoryArn"] == arn:
                    return {"tags": repository.labels}
        raise AwsError("RepositoryNotFoundException", "The repository with "
                       f"name '{arn.partition('repository/')[2]}' does not "
                       "exist in the registry with id "
                       f"'{self.world.account}'")

    def DeleteRepository(self, params, request):
        with self.lock:
            repository = self.repository(params)
            if repository.images and not params.get("force"):
                raise AwsError("RepositoryNotEmptyException", "The repository"
                               f" with name '{repository.name}' in registry "
                               f"with id '{self.world.account}' cannot be "
                               "deleted because it still contains images")
            del self.repositories[repository.name]
            return {"repository": self.shown(repository)}

    def PutLifecyclePolicy(self, params, request):
        text = params["lifecyclePolicyText"]
        problem = lifecycle_problem(text)
        if problem:
            raise AwsError("InvalidParameterException", "Invalid parameter at"
                           " 'LifecyclePolicyText' failed to satisfy "
                           f"constraint: 'Lifecycle policy validation "
                           f"failure: {problem}'")
        with self.lock:
            repository = self.repository(params)
            repository.lifecycle = text
            return {"registryId": self.world.account,
                    "repositoryName": repository.name,
                    "lifecyclePolicyText": text}

    # ---- images ----

    def find_image(self, repository, image_id):
        """(Image, None) or (None, failure)"""
        digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
        if tag is None and digest is None:
            return None, failure(image_id, "MissingDigestAndTag", "Invalid "
                                 "request parameters: both tag and digest "
                                 "cannot be null")
        of_tag = repository.tags.get(tag)
        if tag is not None and digest is not None and of_tag != digest:
            return None, failure(image_id, "ImageTagDoesNotMatchDigest",
                                 "Requested image tag does not match digest")
        image = repository.images.get(digest or of_tag)
        if image is None:
            return None, failure(image_id, "ImageNotFound",
                                 "Requested image not found")
        return image, None

    def DescribeImages(self, params, request):
        with self.lock:
            repository = self.repository(params)
            if "imageIds" in params:
                found = []
                for image_id in params["imageIds"]:
                    image, wrong = self.find_image(repository, image_id)
                    if wrong:
                        self.not_found(repository, image_id)
                    found.append(image)
            else:
                status = params.get("filter", {}).get("tagStatus", "ANY")
                found = [i for i in repository.images.values()
                         if status in ("ANY", tag_status(repository, i))]
            return page("imageDetails",
                        [self.detail(repository, i) for i in found], params)

    def not_found(self, repository, image_id):
        raise AwsError("ImageNotFoundException", "The image with imageId "
                       "{imageDigest:'" + image_id.get("imageDigest", "null")
                       + "', imageTag:'" + image_id.get("imageTag", "null")
                       + "'} does not exist within the repository with name "
                       f"'{repository.name}' in the registry with id "
                       f"'{self.world.account}'")

    def detail(self, repository, image):
        tags = repository.tags_of(image.digest)
        detail = {"registryId": self.world.account,
                  "repositoryName": repository.name,
                  "imageDigest": image.digest,
                  "imageSizeInBytes": image.size,
                  "imagePushedAt": image.pushed,
                  "imageManifestMediaType": image.media_type}
        if image.artifact:
            detail["artifactMediaType"] = image.artifact
        if tags:
            detail["imageTags"] = tags
        return detail

    def ListImages(self, params, request):
        with self.lock:
            repository = self.repository(params)
            status = params.get("filter", {}).get("tagStatus", "ANY")
            found = []
            for digest in repository.images:
                tags = repository.tags_of(digest)
                if tags and status != "UNTAGGED":
                    found += [{"imageDigest": digest, "imageTag": t}
                              for t in tags]
                if not tags and status != "TAGGED":
                    found.append({"imageDigest": digest})
            return page("imageIds", found, params)

    def BatchGetImage(self, params, request):
        with self.lock:
            repository = self.repository(params)
            images, failures = [], []
            for image_id in params["imageIds"]:
                image, wrong = self.find_image(repository, image_id)
                if wrong:
                    failures.append(wrong)
                    continue
                images.append({
                    "registryId": self.world.account,
                    "repositoryName": repository.name,
                    "imageId": {"imageDigest": image.digest,
                                **{k: v for k, v in image_id.items()
                                   if k == "imageTag"}},
                    "imageManifest": image.manifest.decode(),
                    "imageManifestMediaType": image.media_type})
            return {"images": images, "failures": failures}

    def BatchDeleteImage(self, params, request):
        with self.lock:
            repository = self.repository(params)
            deleted, failures = [], []
            for image_id in params["imageIds"]:
                image, wrong = self.find_image(repository, image_id)
                if not wrong:
                    wrong = self.in_use(repository, image, image_id)
                if wrong:
                    failures.append(wrong)
                    continue
                deleted += self.delete(repository, image, image_id)
            return {"imageIds": deleted, "failures": failures}

    @staticmethod
    def in_use(repository, image, image_id):
        users = [i.digest for i in repository.images.values()
                 if image.digest in i.children]
        if users and "imageDigest" in image_id:
            return failure(image_id, "ImageReferencedByManifestList",
                           "Requested image referenced by manifest list: ["
                           + ",".join(users) + "]")
        return None

    @staticmethod
    def delete(repository, image, image_id):
        """By tag: that tag, and the image with its last tag."""
        tags = repository.tags_of(image.digest)
        if "imageDigest" not in image_id:
            tags = [image_id["imageTag"]]
        for tag in tags:
            del repository.tags[tag]
        if not repository.tags_of(image.digest):
            del repository.images[image.digest]
        gone = [{"imageDigest": image.digest, "imageTag": t} for t in tags]
        return gone or [{"imageDigest": image.digest}]

    def PutImage(self, params, request):
        manifest = params["imageManifest"].encode()
        media_type = params.get("imageManifestMediaType") or \
            json.loads(manifest).get("mediaType")
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        tag = params.get("imageTag")
        with self.lock:
            repository = self.repository(params)
            if params.get("imageDigest", digest) != digest:
                raise AwsError("ImageDigestDoesNotMatchException", "The "
                               "provided digest does not match")
            if digest not in repository.images:
                raise AwsError("LayersNotFoundException", "the double makes "
                               "images by pushing alone, PutImage adds tags")
            if tag is None or repository.tags.get(tag) == digest:
                raise AwsError("ImageAlreadyExistsException", "Image with "
                               f"digest '{digest}' and tag '{tag}' already "
                               f"exists in the repository with name "
                               f"'{repository.name}' in registry with id "
                               f"'{self.world.account}'")
            problem = self.tag_problem(repository, tag, digest)
            if problem:
                raise AwsError("ImageTagAlreadyExistsException", problem)
            self.record(repository, tag, digest, manifest, media_type)
            return {"image": {"registryId": self.world.account,
                              "repositoryName": repository.name,
                              "imageId": {"imageDigest": digest,
                                          "imageTag": tag},
                              "imageManifest": params["imageManifest"]}}

    # ---- for the data plane ----

    @staticmethod
    def tag_problem(repository, tag, digest):
        there = repository.tags.get(tag)
        if repository.mutability == "MUTABLE" or there in (None, digest):
            return None
        return (f"The image tag '{tag}' already exists in the "
                f"'{repository.name}' repository and cannot be overwritten "
                "because the repository is immutable.")

    def record(self, repository, tag, digest, manifest, media_type):
        with self.lock:
            if digest not in repository.images:
                repository.images[digest] = Image(digest, manifest,
                                                  media_type, self.now())
            if tag is not None:
                repository.tags[tag] = digest


def tag_status(repository, image):
    return "TAGGED" if repository.tags_of(image.digest) else "UNTAGGED"


def failure(image_id, code, reason):
    return {"imageId": image_id, "failureCode": code, "failureReason": reason}


def page(name, found, params):
    token = params.get("nextToken", "0")
    if not token.isdigit():
        raise AwsError("InvalidParameterException",
                       "Invalid parameter at 'nextToken'")
    start, end = int(token), int(token) + params.get("maxResults", 100)
    reply = {name: found[start:end]}
    if end < len(found):
        reply["nextToken"] = str(end)
    return reply


def lifecycle_problem(text):
    """What is wrong with a policy, or None."""
    try:
        rules = json.loads(text)["rules"]
    except (ValueError, KeyError, TypeError):
        return "the text is no object with 'rules'"
    for rule in rules:
        selection = rule.get("selection", {})
        if not isinstance(rule.get("rulePriority"), int):
            return "instance failed to match rulePriority"
        if selection.get("tagStatus") not in ("tagged", "untagged", "any"):
            return "instance failed to match tagStatus"
        if selection.get("countType") not in COUNT_TYPES:
            return "instance failed to match countType"
        if not isinstance(selection.get("countNumber"), int) or \
                selection["countNumber"] < 1:
            return "instance failed to match countNumber"
        if rule.get("action") != {"type": "expire"}:
            return "instance failed to match action"
    return None


SERVICE = Ecr
